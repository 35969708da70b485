package radius

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/secret"
)

// crew is a server's sessions.
type crew struct {
	mu      sync.Mutex
	live    []auth.Live
	grants  map[string]auth.Grant
	ended   []string
	changes int
	names   []string
	err     error
	slow    chan struct{} // nil: at once
	bad     bool          // it panics
	looked  int           // how often all were gone through
}

func (c *crew) Live(match func(*auth.Live) bool) (list []auth.Live) {
	if c.bad {
		panic("on purpose")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked++
	for i := range c.live {
		if l := c.live[i]; match(&l) {
			list = append(list, l)
		}
	}
	return list
}

func (c *crew) Disconnect(_ context.Context, ids []string) (int, error) {
	if c.slow != nil {
		<-c.slow
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = append(c.ended, ids...)
	return len(ids), c.err
}

func (c *crew) Change(_ context.Context, ids []string, change auth.Change) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	for _, id := range ids {
		g := c.grants[id]
		change.Clear(&g)
		c.grants[id] = g.Override(change.Set)
		c.names = change.Set.Filters
		c.changes++
	}
	return len(ids), nil
}

// newCrew has alice twice and bob once.
func newCrew() *crew {
	of := func(id, user, remote, inside string, port uint32) auth.Live {
		return auth.Live{
			User: strings.ToLower(user), Name: user, Address: netip.MustParseAddr(inside),
			IPv6: auth.IPv6{Prefix: netip.PrefixFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::", port)), 64), Address: netip.MustParseAddr(fmt.Sprintf("2001:db8:f::%d", port))},
			Call: auth.Call{
				SessionID: id, Port: port, PortID: fmt.Sprintf("l2tp-%d", port), Multi: "m" + id,
				Remote: netip.MustParseAddrPort(remote + ":4500"), Local: netip.MustParseAddrPort("192.0.2.1:4500"),
			},
		}
	}
	return &crew{live: []auth.Live{
		of("a1", "Alice", "198.51.100.7", "10.83.0.2", 1), of("a2", "Alice", "198.51.100.8", "10.83.0.3", 2), of("b1", "bob", "198.51.100.9", "10.83.0.4", 3),
	}, grants: map[string]auth.Grant{}}
}

const coaSecret = "secret of a dynamic authorization client"

var coaFrom = netip.MustParseAddrPort("203.0.113.5:40000")

func dynamicOf(c *crew, change ...func(*DynamicConfig)) *Dynamic {
	cfg := DynamicConfig{
		Authorities:   []Authority{{Network: netip.MustParsePrefix("203.0.113.0/24"), Secret: secret.String(coaSecret)}},
		NASIdentifier: "adit", NASIP: netip.MustParseAddr("192.0.2.77"), Identity: auth.Identity{FoldCase: true},
	}
	for _, f := range change {
		f(&cfg)
	}
	return NewDynamic(c, cfg, nil, nil)
}

// tlv is an attribute.
func tlv(t byte, v string) []byte { return append([]byte{t, byte(len(v) + 2)}, v...) }

// vsa is a vendor's attribute.
func vsa(vendor uint32, t byte, v string) []byte {
	return tlv(26, string(binary.BigEndian.AppendUint32(nil, vendor))+string(tlv(t, v)))
}

func word(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

func four(s string) string { return string(netip.MustParseAddr(s).AsSlice()) }

// ask makes a request with a Message-Authenticator and a Request Authenticator that are right.
func ask(code radius.Code, attributes ...[]byte) []byte {
	return seal(code, coaSecret, append([][]byte{tlv(80, string(make([]byte, 16)))}, attributes...)...)
}

// seal makes a request, with the Message-Authenticators that there are.
func seal(code radius.Code, key string, attributes ...[]byte) []byte {
	b := append([]byte{byte(code), 7, 0, 0}, make([]byte, 16)...)
	b = append(b, bytes.Join(attributes, nil)...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	if at, _ := messageAuthenticator(b); at > 0 {
		copy(b[at:at+16], hmacMD5(b, []byte(key)))
	}
	sum := md5.Sum(append(slices.Clone(b), key...))
	copy(b[4:20], sum[:])
	return b
}

// opened verifies an answer as RFC 5176 has it, and returns its code and its Error-Cause.
func opened(t *testing.T, request, b []byte) (code radius.Code, cause uint32, p *radius.Packet) {
	t.Helper()
	if !radius.IsAuthenticResponse(b, request, []byte(coaSecret)) {
		t.Fatal("the Response Authenticator is wrong")
	}
	at, found := messageAuthenticator(b)
	signed := slices.Clone(b)
	if found == 1 && at > 0 {
		copy(signed[4:20], request[4:20])
		clear(signed[at : at+16])
	}
	if found != 1 || !bytes.Equal(hmacMD5(signed, []byte(coaSecret)), b[at:at+16]) {
		t.Fatal("the answer has no Message-Authenticator that is right")
	}
	p, err := radius.Parse(b, []byte(coaSecret))
	if err != nil {
		t.Fatal(err)
	}
	if v := p.Get(101); len(v) == 4 {
		cause = binary.BigEndian.Uint32(v)
	}
	return p.Code, cause, p
}

const disconnect, coaRequest = radius.CodeDisconnectRequest, radius.CodeCoARequest

// Requests that are believed, and what is answered: 0 is an ACK.
func TestWhatRequestsAboutSessionsAreAnswered(t *testing.T) {
	id := func(s string) []byte { return tlv(44, s) }
	rate := vsa(vendorMikrotik, 8, "1M/2M")
	for name, c := range map[string]struct {
		code  radius.Code
		with  [][]byte
		cause uint32
		whom  string // the sessions that end or change
	}{
		"disconnect by id":               {disconnect, [][]byte{id("a1")}, 0, "a1"},
		"disconnect by user":             {disconnect, [][]byte{tlv(1, "Alice")}, 0, "a1 a2"},
		"by another spelling":            {disconnect, [][]byte{tlv(1, "aLiCe")}, 0, "a1 a2"},
		"user and address":               {disconnect, [][]byte{tlv(1, "Alice"), tlv(8, four("10.83.0.3"))}, 0, "a2"},
		"user and another's address":     {disconnect, [][]byte{tlv(1, "Alice"), tlv(8, four("10.83.0.4"))}, 503, ""},
		"user and another's id":          {disconnect, [][]byte{tlv(1, "Alice"), id("b1")}, 503, ""},
		"two ids":                        {disconnect, [][]byte{id("a1"), id("a2")}, 503, ""},
		"NAS-Port":                       {disconnect, [][]byte{tlv(5, word(3))}, 0, "b1"},
		"NAS-Port-Id":                    {disconnect, [][]byte{tlv(87, "l2tp-2")}, 0, "a2"},
		"Calling-Station-Id":             {disconnect, [][]byte{tlv(31, "198.51.100.9")}, 0, "b1"},
		"Called-Station-Id":              {disconnect, [][]byte{tlv(30, "192.0.2.1"), id("b1")}, 0, "b1"},
		"Acct-Multi-Session-Id":          {disconnect, [][]byte{tlv(50, "ma2")}, 0, "a2"},
		"Framed-IPv6-Prefix":             {disconnect, [][]byte{tlv(97, "\x00\x40"+four("2001:db8:3::")[:8])}, 0, "b1"},
		"Framed-IPv6-Address":            {disconnect, [][]byte{tlv(168, four("2001:db8:f::1"))}, 0, "a1"},
		"NAS-Port-Type":                  {disconnect, [][]byte{id("b1"), tlv(61, word(5))}, 0, "b1"},
		"another NAS-Port-Type":          {disconnect, [][]byte{id("b1"), tlv(61, word(0))}, 503, ""},
		"the same twice":                 {disconnect, [][]byte{id("b1"), id("b1"), tlv(1, "bob"), tlv(1, "BOB"), tlv(1, "bob")}, 0, "b1"},
		"NAS-Port-Type alone":            {disconnect, [][]byte{tlv(61, word(5))}, 402, ""},
		"Called-Station-Id alone":        {disconnect, [][]byte{tlv(30, "192.0.2.1")}, 402, ""},
		"all that sessions share":        {disconnect, [][]byte{tlv(30, "192.0.2.1"), tlv(61, word(5)), tlv(32, "adit"), tlv(4, four("192.0.2.77"))}, 402, ""},
		"a change of all":                {coaRequest, [][]byte{tlv(61, word(5)), rate}, 402, ""},
		"nobody":                         {disconnect, [][]byte{id("c9")}, 503, ""},
		"no identification":              {disconnect, nil, 402, ""},
		"our name alone":                 {disconnect, [][]byte{tlv(32, "adit")}, 402, ""},
		"our name":                       {disconnect, [][]byte{tlv(32, "adit"), id("a1")}, 0, "a1"},
		"another's name":                 {disconnect, [][]byte{tlv(32, "other"), id("a1")}, 403, ""},
		"our address":                    {disconnect, [][]byte{tlv(4, four("192.0.2.77")), id("a1")}, 0, "a1"},
		"our address that clients reach": {disconnect, [][]byte{tlv(4, four("192.0.2.1")), id("a1")}, 0, "a1"},
		"our address that was asked":     {disconnect, [][]byte{tlv(4, four("192.0.2.99")), id("a1")}, 0, "a1"},
		"another's address":              {disconnect, [][]byte{tlv(4, four("192.0.2.78")), id("a1")}, 403, ""},
		"another's IPv6 address":         {disconnect, [][]byte{tlv(95, four("2001:db8::1")), id("a1")}, 403, ""},
		"an address of three bytes":      {disconnect, [][]byte{tlv(8, "\x0a\x53\x00"), id("a1")}, 407, ""},
		"an empty name":                  {disconnect, [][]byte{tlv(1, ""), id("a1")}, 407, ""},
		"a change in a disconnect":       {disconnect, [][]byte{id("a1"), rate}, 401, ""},
		"the packet's own":               {disconnect, [][]byte{id("a1"), tlv(33, "p"), tlv(18, "bye"), tlv(55, word(uint32(time.Now().Unix())))}, 0, "a1"},

		"a rate":                       {coaRequest, [][]byte{id("a1"), rate}, 0, "a1"},
		"a rate of all sessions":       {coaRequest, [][]byte{tlv(1, "alice"), rate}, 0, "a1 a2"},
		"nothing to change":            {coaRequest, [][]byte{id("a1")}, 402, ""},
		"no session":                   {coaRequest, [][]byte{rate}, 402, ""},
		"an unknown attribute":         {coaRequest, [][]byte{id("a1"), rate, tlv(249, "x")}, 401, ""},
		"an unknown vendor":            {coaRequest, [][]byte{id("a1"), rate, vsa(4711, 1, "x")}, 401, ""},
		"one before the rate":          {coaRequest, [][]byte{id("a1"), tlv(22, "192.0.2.0/24"), rate}, 401, ""},
		"an address pool":              {coaRequest, [][]byte{id("a1"), tlv(88, "staff")}, 401, ""},
		"a pair that is a rate":        {coaRequest, [][]byte{id("a1"), vsa(vendorCisco, 1, "ip:sub-qos-policy-in=5M")}, 0, "a1"},
		"a pair that is a route":       {coaRequest, [][]byte{id("a1"), vsa(vendorCisco, 1, "ip:route=192.0.2.0 255.255.255.0")}, 401, ""},
		"a pair that is a policy map":  {coaRequest, [][]byte{id("a1"), vsa(vendorCisco, 1, "ip:sub-qos-policy-in=GOLD")}, 407, ""},
		"a policy map and a rate":      {coaRequest, [][]byte{id("a1"), rate, vsa(vendorCisco, 1, "subscriber:sub-qos-policy-out=GOLD")}, 407, ""},
		"a pair without a value":       {coaRequest, [][]byte{id("a1"), vsa(vendorCisco, 1, "ip:sub-qos-policy-in")}, 407, ""},
		"another interface-config":     {coaRequest, [][]byte{id("a1"), vsa(vendorCisco, 1, "lcp:interface-config=ip vrf forwarding x")}, 407, ""},
		"a rate with a priority":       {coaRequest, [][]byte{id("a1"), vsa(vendorMikrotik, 8, "0/0 0/0 0/0 0/0 5")}, 0, "a1"},
		"a rate that is none":          {coaRequest, [][]byte{id("a1"), vsa(vendorMikrotik, 8, "fast")}, 407, ""},
		"a good one and a broken one":  {coaRequest, [][]byte{id("a1"), tlv(28, word(60)), vsa(vendorMikrotik, 8, "fast")}, 407, ""},
		"a timeout of two bytes":       {coaRequest, [][]byte{id("a1"), tlv(27, "\x00\x01")}, 407, ""},
		"a rule that is none":          {coaRequest, [][]byte{id("a1"), tlv(92, "let them in")}, 407, ""},
		"an odd Vendor-Specific":       {coaRequest, [][]byte{id("a1"), tlv(26, word(vendorMikrotik)+"\x08\x40x")}, 407, ""},
		"an empty Vendor-Specific":     {coaRequest, [][]byte{id("a1"), tlv(26, word(vendorMikrotik))}, 407, ""},
		"Authorize-Only":               {coaRequest, [][]byte{id("a1"), tlv(6, word(17)), tlv(24, "state")}, 405, ""},
		"Service-Type Login":           {coaRequest, [][]byte{id("a1"), tlv(6, word(1)), rate}, 405, ""},
		"Service-Type Framed":          {coaRequest, [][]byte{id("a1"), tlv(6, word(2)), rate}, 0, "a1"},
		"Authorize-Only in disconnect": {disconnect, [][]byte{id("a1"), tlv(6, word(17))}, 405, ""},
	} {
		t.Run(name, func(t *testing.T) {
			crew := newCrew()
			d := dynamicOf(crew)
			b := ask(c.code, c.with...)
			reply := d.Handle(t.Context(), coaFrom, netip.MustParseAddr("192.0.2.99"), b)
			if reply == nil {
				t.Fatalf("no answer: %+v", d.Stats())
			}
			code, cause, p := opened(t, b, reply)
			if want := c.code + 1; c.cause == 0 && code != want || c.cause != 0 && code != want+1 || cause != c.cause {
				t.Errorf("the answer is %v with Error-Cause %d, want %d: %s", code, cause, c.cause, p.Get(18))
			}
			whom := crew.ended
			for id := range crew.grants {
				whom = append(whom, id)
			}
			slices.Sort(whom)
			if got := strings.Join(whom, " "); got != c.whom {
				t.Errorf("it is done to %q, want %q", got, c.whom)
			}
			if code == radius.CodeDisconnectACK && binary.BigEndian.Uint32(p.Get(49)) != 6 {
				t.Errorf("Acct-Terminate-Cause is %x", p.Get(49))
			}
		})
	}
}

// What stands for none of its kind, as a session has it that has none, names no session: with
// others, neither.
func TestWhatStandsForNoneNamesNoSession(t *testing.T) {
	zeros := func(n int) string { return string(make([]byte, n)) }
	for name, b := range map[string][]byte{
		"User-Name":               tlv(1, ""),
		"User-Name of a NUL":      tlv(1, "\x00"),
		"NAS-Port 0":              tlv(5, word(0)),
		"0.0.0.0":                 tlv(8, four("0.0.0.0")),
		"255.255.255.255":         tlv(8, four("255.255.255.255")), // RFC 2865, section 5.8
		"255.255.255.254":         tlv(8, four("255.255.255.254")),
		"an empty address":        tlv(8, ""),
		"Called-Station-Id":       tlv(30, ""),
		"Calling-Station-Id":      tlv(31, "\x00\x00"),
		"Acct-Session-Id":         tlv(44, ""),
		"Acct-Multi-Session-Id":   tlv(50, ""),
		"Acct-Multi of a NUL":     tlv(50, "\x00"),
		"NAS-Port-Type":           tlv(61, ""),
		"NAS-Port-Id":             tlv(87, ""),
		"Framed-Interface-Id":     tlv(96, zeros(8)),
		"an empty interface":      tlv(96, ""),
		"Framed-IPv6-Prefix ::/0": tlv(97, "\x00\x00"),
		"with bytes":              tlv(97, "\x00\x00"+zeros(16)),
		"2001:db8::/0":            tlv(97, "\x00\x00"+four("2001:db8::")),
		"::/128":                  tlv(97, "\x00\x80"),
		"Delegated-IPv6-Prefix":   tlv(123, "\x00\x00"),
		"Delegated ::/64":         tlv(123, "\x00\x40"+zeros(8)),
		"an empty prefix":         tlv(123, ""),
		"Framed-IPv6-Address ::":  tlv(168, zeros(16)),
	} {
		for kind, with := range map[string][][]byte{"alone": {b}, "with another": {tlv(1, "bob"), b}} {
			t.Run(name+" "+kind, func(t *testing.T) {
				crew := newCrew()
				for i := range crew.live { // they have nothing but a name
					crew.live[i] = auth.Live{User: crew.live[i].User, Name: crew.live[i].Name}
				}
				d, b := dynamicOf(crew), ask(disconnect, with...)
				if code, cause, _ := opened(t, b, d.Handle(t.Context(), coaFrom, netip.Addr{}, b)); code != radius.CodeDisconnectNAK || cause != 407 {
					t.Errorf("the answer is %v with Error-Cause %d", code, cause)
				}
				if len(crew.ended) > 0 {
					t.Errorf("%q ended", crew.ended)
				}
			})
		}
	}
}

// Datagrams that are not answered, and the reason that is counted.
func TestWhatIsDroppedOfRequestsAboutSessions(t *testing.T) {
	id := tlv(44, "a1")
	zero := tlv(80, string(make([]byte, 16)))
	good := ask(disconnect, id)
	changed := func(at int) []byte { b := slices.Clone(good); b[at] ^= 1; return b }
	wrongMA := seal(disconnect, "another", zero, id)
	wrongMA = reseal(wrongMA) // a right Request Authenticator over a wrong signature
	old := uint32(time.Now().Add(-6 * time.Minute).Unix())
	for name, c := range map[string]struct {
		b    []byte
		from string
		why  string
	}{
		"nothing":                        {nil, "", "malformed"},
		"19 bytes":                       {good[:19], "", "malformed"},
		"cut off":                        {good[:len(good)-1], "", "malformed"},
		"a length of 19":                 {append([]byte{40, 7, 0, 19}, good[4:]...), "", "malformed"},
		"an Access-Request":              {ask(radius.CodeAccessRequest, id), "", "code"},
		"an answer":                      {ask(radius.CodeDisconnectACK, id), "", "code"},
		"a stranger":                     {good, "198.51.100.66:3799", "source"},
		"another secret":                 {seal(disconnect, "another", zero, id), "", "forged"},
		"a changed byte":                 {changed(len(good) - 1), "", "forged"},
		"a changed authenticator":        {changed(4), "", "forged"},
		"no Message-Authenticator":       {seal(disconnect, coaSecret, id), "", "unsigned"},
		"a Message-Authenticator of 15":  {seal(disconnect, coaSecret, tlv(80, string(make([]byte, 15))), id), "", "forged"},
		"two of them":                    {seal(disconnect, coaSecret, zero, zero, id), "", "forged"},
		"a wrong Message-Authenticator":  {wrongMA, "", "forged"},
		"an attribute of length 1":       {seal(disconnect, coaSecret, zero, id, []byte{1, 1}), "", "malformed"},
		"an attribute beyond the end":    {seal(disconnect, coaSecret, zero, id, []byte{1, 9, 'x'}), "", "malformed"},
		"recorded six minutes ago":       {ask(disconnect, id, tlv(55, word(old))), "", "stale"},
		"six minutes ahead":              {ask(coaRequest, id, tlv(55, word(old+720))), "", "stale"},
		"an Event-Timestamp of 3 bytes":  {ask(disconnect, id, tlv(55, "abc")), "", "stale"},
		"unsigned, in Proxy-State alone": {seal(disconnect, coaSecret, tlv(33, string(zero)), id), "", "unsigned"},
	} {
		t.Run(name, func(t *testing.T) {
			crew := newCrew()
			d := dynamicOf(crew)
			from := coaFrom
			if c.from != "" {
				from = netip.MustParseAddrPort(c.from)
			}
			if reply := d.Handle(t.Context(), from, netip.Addr{}, c.b); reply != nil {
				t.Errorf("it is answered: %x", reply)
			}
			for why, n := range d.Stats().Dropped {
				if want := uint64(0); why == c.why && n != 1 || why != c.why && n != want {
					t.Errorf("%d are counted as %q, want one as %q", n, why, c.why)
				}
			}
			if len(crew.ended)+crew.changes > 0 {
				t.Error("it was done")
			}
		})
	}
}

// reseal makes the Request Authenticator right.
func reseal(b []byte) []byte {
	b = slices.Clone(b)
	clear(b[4:20])
	sum := md5.Sum(append(slices.Clone(b), coaSecret...))
	copy(b[4:20], sum[:])
	return b
}

func TestAnAuthorityMayBeAllowedToSignNothing(t *testing.T) {
	d := dynamicOf(newCrew(), func(cfg *DynamicConfig) { cfg.Authorities[0].AllowUnsigned = true })
	if d.Handle(t.Context(), coaFrom, netip.Addr{}, seal(disconnect, coaSecret, tlv(44, "a1"))) == nil {
		t.Error("it is dropped")
	}
	zero := tlv(80, string(make([]byte, 16)))
	if d.Handle(t.Context(), coaFrom, netip.Addr{}, reseal(seal(disconnect, "another", zero, tlv(44, "a2")))) != nil {
		t.Error("a wrong signature is as good as none")
	}
}

// Of requests at the same time each has an answer. Of repeats of one that is worked on, that
// one.
func TestRequestsAtTheSameTimeAreAllAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crew := newCrew()
		crew.slow = make(chan struct{})
		d := dynamicOf(crew)
		var mu sync.Mutex
		answered := map[string]int{}
		for _, id := range []string{"a1", "a2", "b1", "a1"} {
			d.work(func() {
				b := ask(disconnect, tlv(44, id))
				if reply := d.Handle(t.Context(), coaFrom, netip.Addr{}, b); reply != nil {
					mu.Lock()
					defer mu.Unlock()
					answered[id]++
				}
			})
		}
		synctest.Wait()
		close(crew.slow)
		synctest.Wait()
		if len(answered) != 3 || answered["a1"] != 1 || len(crew.ended) != 3 {
			t.Errorf("answers %v, ended %v", answered, crew.ended)
		}
	})
}

// More than can be worked on at once are dropped, and counted.
func TestRequestsBeyondTheRoomAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		d := dynamicOf(newCrew())
		for range maxWorking + 5 {
			d.work(func() { <-stop })
		}
		synctest.Wait()
		if n := d.Stats().Dropped["busy"]; n != 5 {
			t.Errorf("%d are dropped", n)
		}
		close(stop)
	})
}

// A request that an error in the server keeps from being done is refused, and costs nobody else
// anything.
func TestAPanicCostsOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crew := newCrew()
		told, hurt := []any{}, false
		d := NewDynamic(crew, *dynamicOf(crew).cfg.Load(), func(DynamicEvent) {
			if hurt {
				panic("while it is told")
			}
		}, func(value any, stack []byte) {
			if told = append(told, value); !bytes.Contains(stack, []byte("dynamic_test.go")) {
				t.Errorf("the stack is\n%s", stack)
			}
		})
		var replies [][]byte
		over := func(b []byte) {
			d.HandleOver("r", []byte(coaSecret), b, func(reply []byte) { replies = append(replies, reply) })
			synctest.Wait()
		}
		crew.bad = true
		b := ask(disconnect, tlv(44, "a1"))
		for range 2 { // the repeat gets the same answer
			over(b)
		}
		for _, reply := range replies {
			if code, cause, _ := opened(t, b, reply); code != radius.CodeDisconnectNAK || cause != 506 {
				t.Errorf("the answer is %v with Error-Cause %d", code, cause)
			}
		}
		crew.bad, hurt = false, true
		for i := range 2 * maxWorking {
			over(ask(disconnect, tlv(44, "a2"), tlv(33, fmt.Sprint(i))))
		}
		hurt = false
		over(ask(disconnect, tlv(44, "b1")))
		if len(replies) != 3 || len(told) != 1+2*maxWorking || told[0] != "on purpose" || told[1] != "while it is told" {
			t.Errorf("%d answers; told %v", len(replies), told)
		}
		if st := d.Stats(); st.Panics != 1+2*maxWorking || st.Dropped["busy"] != 0 || st.Results[[2]string{"Disconnect", "506"}] != 1 {
			t.Errorf("counted: %+v", st)
		}
	})
}

// What sessions say of a change becomes an Error-Cause.
func TestErrorsOfSessionsHaveACause(t *testing.T) {
	for cause, err := range map[uint32]error{407: auth.ErrUnknownName, 501: auth.ErrProhibited, 506: errors.New("busy")} {
		crew := newCrew()
		crew.err = err
		b := ask(coaRequest, tlv(44, "a1"), tlv(11, "staff"))
		if _, got, _ := opened(t, b, dynamicOf(crew).Handle(t.Context(), coaFrom, netip.Addr{}, b)); got != cause {
			t.Errorf("%v: Error-Cause %d, want %d", err, got, cause)
		}
	}
}

// Proxy-States and a State come back as they are, in order.
func TestStatesComeBack(t *testing.T) {
	b := ask(coaRequest, tlv(33, "one"), tlv(44, "none"), tlv(24, "state"), tlv(33, "two"), tlv(28, word(60)))
	_, _, p := opened(t, b, dynamicOf(newCrew()).Handle(t.Context(), coaFrom, netip.Addr{}, b))
	var got []string
	for _, avp := range p.Attributes {
		if avp.Type == 33 || avp.Type == 24 {
			got = append(got, string(avp.Attribute))
		}
	}
	if strings.Join(got, " ") != "one state two" {
		t.Errorf("they are %q", got)
	}
}

// What a change names takes the place of what the session has, all of it, and the rest stays.
func TestAChangeKeepsWhatItDoesNotName(t *testing.T) {
	rule := func(s string) (r limit.Rule) {
		if err := r.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	was := auth.Grant{
		SessionTimeout: time.Hour, IdleTimeout: time.Minute, InterimInterval: 5 * time.Minute, Class: [][]byte{[]byte("c1"), []byte("c2")}, Filters: []string{"staff"}, Group: "staff",
		Limits: auth.Limits{
			Rates: limit.Rates{In: 10e6, Out: 20e6, BurstIn: 1e6, BurstOut: 2e6}, Quota: limit.Volume{In: 5 << 32, Out: 7, Total: 9},
			Filter: limit.Filter{rule("permit in ip from any to 10.0.0.0/8")}, Day: 77,
		},
	}
	all := [][]byte{
		tlv(27, word(7200)), tlv(28, word(0)), tlv(85, word(600)), tlv(25, "new"), tlv(92, "deny in ip from any to 10.9.0.0/16"),
		vsa(vendorMikrotik, 1, word(1000)), vsa(vendorMikrotik, 17, word(1)), vsa(vendorMikrotik, 18, word(2)), vsa(vendorWISPr, 8, word(3e6)), tlv(11, "slow"), vsa(vendorMikrotik, 3, "other"),
	}
	for i := range all { // every one counts, wherever it stands
		turned := append(slices.Clone(all[i:]), all[:i]...)
		crew := newCrew()
		crew.grants["a1"] = was
		b := ask(coaRequest, append([][]byte{tlv(44, "a1")}, turned...)...)
		if code, cause, _ := opened(t, b, dynamicOf(crew).Handle(t.Context(), coaFrom, netip.Addr{}, b)); code != radius.CodeCoAACK {
			t.Fatalf("%v with %d", code, cause)
		}
		g := crew.grants["a1"]
		want := was
		want.SessionTimeout, want.IdleTimeout, want.InterimInterval, want.Class = 2*time.Hour, 0, 10*time.Minute, [][]byte{[]byte("new")}
		want.Limits.Rates.Out, want.Limits.Rates.BurstOut = 3e6, 0
		want.Limits.Quota = limit.Volume{In: 1000, Out: 7, Total: 2<<32 + 1}
		want.Limits.Filter = limit.Filter{rule("deny in ip from any to 10.9.0.0/16")}
		if fmt.Sprintf("%+v", g) != fmt.Sprintf("%+v", want) {
			t.Errorf("it has\n%+v, want\n%+v", g, want)
		}
		slices.Sort(crew.names)
		if strings.Join(crew.names, " ") != "other slow" {
			t.Errorf("the names are %q", crew.names)
		}
	}
	for text, want := range map[string]limit.Rates{"0/0": {}, "1M": {In: 1e6, Out: 1e6}, "1M/0": {In: 1e6}} {
		crew := newCrew()
		crew.grants["a1"] = was
		b := ask(coaRequest, tlv(44, "a1"), vsa(vendorMikrotik, 8, text))
		opened(t, b, dynamicOf(crew).Handle(t.Context(), coaFrom, netip.Addr{}, b))
		if got := crew.grants["a1"].Limits.Rates; got != want {
			t.Errorf("%s: the rates are %+v, want %+v", text, got, want)
		}
	}
}

// A rate comes without the burst of the one before: a slower one would begin with minutes of that.
func TestAChangedRateHasNoOldBurst(t *testing.T) {
	was := limit.Rates{In: 10e6, Out: 20e6, BurstIn: 1e6, BurstOut: 2e6}
	for pair, want := range map[string]limit.Rates{
		"ip:sub-qos-policy-in=1M":                       {In: 1e6, Out: 20e6, BurstOut: 2e6},
		"ip:sub-qos-policy-out=1M":                      {In: 10e6, BurstIn: 1e6, Out: 1e6},
		"lcp:interface-config=rate-limit input 1000000": {In: 1e6, Out: 20e6, BurstOut: 2e6},
	} {
		crew := newCrew()
		crew.grants["a1"] = auth.Grant{Limits: auth.Limits{Rates: was}}
		b := ask(coaRequest, tlv(44, "a1"), vsa(vendorCisco, 1, pair))
		opened(t, b, dynamicOf(crew).Handle(t.Context(), coaFrom, netip.Addr{}, b))
		if got := crew.grants["a1"].Limits.Rates; got != want {
			t.Errorf("%s: the rates are %+v, want %+v", pair, got, want)
		}
	}
}

// Whatever comes, of strangers and of authorities, is answered as it should be, or dropped.
func FuzzDynamic(f *testing.F) {
	f.Add(byte(40), []byte("\x2c\x04a1"), true)
	f.Add(byte(43), append(tlv(44, "a1"), vsa(vendorMikrotik, 8, "1M/2M")...), true)
	f.Add(byte(43), append(tlv(1, "alice"), tlv(92, "deny in ip from any to any")...), true)
	f.Add(byte(43), append(tlv(97, "\x00\x40abcdefgh"), tlv(26, word(vendorCisco)+"\x01\x09ip:a=b")...), true)
	f.Add(byte(40), []byte("\x21\x00"), true)
	f.Fuzz(func(t *testing.T, code byte, attributes []byte, sign bool) {
		if len(attributes) > radius.MaxPacketLength-38 {
			return
		}
		d := dynamicOf(newCrew())
		b := append([]byte{code}, attributes...)
		if sign {
			b = ask(radius.Code(code), attributes)
		}
		reply := d.Handle(t.Context(), coaFrom, netip.Addr{}, b)
		if !sign && reply != nil {
			t.Fatal("an unsigned one is answered")
		}
		if reply != nil {
			opened(t, b, reply)
		}
	})
}

// A server that is asked over TLS asks over the same connection, and is answered there, whoever
// may ask by UDP. A request with another secret than RadSec's is not.
func TestServersAskOverTLS(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, c := serveTLS(t, tls.VersionTLS13, instantly)
		crew := newCrew()
		d := dynamicOf(crew, func(cfg *DynamicConfig) { cfg.Authorities = nil })
		for _, s := range c.set.Load().services() {
			s.asked = d.HandleOver
		}
		if _, _, err := login(t, c, "alice"); err != nil {
			t.Fatal(err)
		}
		zero := tlv(80, string(make([]byte, 16)))
		for _, b := range [][]byte{
			seal(disconnect, radsec, zero, tlv(44, "a1")), seal(disconnect, radsec, tlv(44, "b1")),
			seal(coaRequest, radsec, zero, tlv(44, "c9"), tlv(28, word(60))),
			seal(disconnect, "another", zero, tlv(44, "a2")), reseal(seal(disconnect, "another", zero, tlv(44, "a2"))),
		} {
			if _, err := server.open[0].Write(b); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if _, _, err := login(t, c, "alice"); err != nil {
			t.Errorf("the connection serves no longer: %v", err)
		}
		server.mu.Lock()
		defer server.mu.Unlock()
		var codes []string
		for _, p := range server.seen[0] {
			if p.Code > radius.CodeAccountingResponse && p.Code != radius.CodeStatusServer {
				codes = append(codes, p.Code.String())
			}
		}
		if got := strings.Join(codes, " "); got != "Disconnect-ACK Disconnect-ACK CoA-NAK" || strings.Join(crew.ended, " ") != "a1 b1" {
			t.Errorf("the answers are %s, and %v ended", got, crew.ended)
		}
		if n := d.Stats().Dropped["forged"]; n != 2 {
			t.Errorf("%d are forged", n)
		}
	})
}

// unwritable is a connection that takes no more.
type unwritable struct{ net.Conn }

func (unwritable) Write([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// An answer that cannot be written over TLS ends the connection: nothing can follow half a record.
func TestAnAnswerThatCannotBeWrittenEndsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ours, _ := pipe()
		s := newService(identity{kind: both, address: "r:2083", secret: secret.String(radsec), tls: "x"})
		s.asked = func(_ string, _, _ []byte, reply func([]byte)) { reply([]byte("an answer")) }
		l := &link{conn: unwritable{ours}, stream: true, since: time.Now().Add(-time.Minute)}
		s.links = []*link{l}
		s.arrived(l, seal(disconnect, radsec, tlv(44, "a1")))
		if !l.closed {
			t.Error("it stays open")
		}
		s.close()
	})
}
