package persona

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// Clients and middleboxes pad datagrams. Bytes beyond an ISAKMP message's own length do
// not belong to it: in phase 1, Quick Mode and Informational, on both ports, after the
// non-ESP marker, and when keys are renewed.
func TestEveryClientWhoseDatagramsArePaddedConnects(t *testing.T) {
	for _, padding := range []int{1, 12, 700} {
		each(t, func(t *testing.T, p Profile) {
			p.Odd.Padding = padding
			w := sim.New(t, sim.Options{})
			c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
			passes(t, w, c, 1)
			for _, renew := range []func() error{c.Rekey, c.Rephase} {
				if err := renew(); err != nil {
					t.Error(err)
				}
			}
			passes(t, w, c, 3)
			if n := len(sim.All[vpn.PacketRefused](w.Events)); n != 0 {
				t.Errorf("%d messages were refused", n)
			}
			time.Sleep(10 * time.Minute)
			leaves(t, w, c)
		})
	}
}

// The same holds in Aggressive Mode, and after messages sent in fragments.
func TestPaddingBehindFragmentsAndInAggressiveModeIsPassedOver(t *testing.T) {
	eachSigner(t, func(t *testing.T, p Profile) {
		p.Odd.Padding = 33
		w := sim.New(t, sim.Options{Policy: policyOf(p)})
		c := online(t, p, accountOf(p), w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		passes(t, w, c, 1)
	})
	bubble(t, func(t *testing.T) {
		p := Android(AndroidOptions{Deletes: true})
		p.IKE.GroupName, p.Odd.Padding = "staff", 20
		w := sim.New(t, sim.Options{Policy: func(p *vpn.Policy) { p.IKE.Aggressive, p.IKE.PSKs[0].Group = true, "staff" }})
		c := start(t, p, account, w.Net.Host("198.51.100.7"))
		_ = c.Dial() // the user belongs to no group
		if up := sim.All[vpn.PhaseOneUp](w.Events); len(up) != 1 {
			t.Errorf("%d phases 1 came up", len(up))
		}
	})
}

// raw is a host that sends what it likes.
type raw struct {
	*udptest.Conn
	to netip.AddrPort
}

func (r raw) say(t *testing.T, b []byte) {
	t.Helper()
	if _, err := r.WriteBatch([]udp.Packet{{Data: b, Remote: r.to}}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
}

// Nothing is dropped silently: every datagram that is not a message, or a message that
// nobody waits for, is counted by its own reason.
func TestEveryMessageOfIKEThatIsDroppedHasItsReason(t *testing.T) {
	first := func(change func(*wire.Message)) []byte {
		m := &wire.Message{Initiator: [8]byte{1, 2, 3}, Exchange: wire.MainMode}
		m.First, m.Body = wire.Chain(wire.Payload{Type: wire.PayloadSA, Body: windowsSA})
		change(m)
		return m.Marshal()
	}
	good := first(func(*wire.Message) {})
	long := append([]byte(nil), good...)
	binary.BigEndian.PutUint32(long[24:], uint32(len(long)+1))
	version := append([]byte(nil), good...)
	version[17] = 0x20
	for name, tt := range map[string]struct {
		datagram []byte
		want     error
	}{
		"nothing":                     {nil, ike.ErrMalformed},
		"a byte":                      {[]byte{1}, ike.ErrMalformed},
		"half a header":               {good[:20], ike.ErrMalformed},
		"a header alone":              {good[:28], ike.ErrTruncated},
		"all but the last byte":       {good[:len(good)-1], ike.ErrTruncated},
		"a length of one more":        {long, ike.ErrTruncated},
		"IKE version 2":               {version, ike.ErrVersion},
		"an unknown exchange":         {first(func(m *wire.Message) { m.Exchange = 99 }), ike.ErrUnexpected},
		"Quick Mode out of nowhere":   {first(func(m *wire.Message) { m.Exchange, m.Responder = wire.QuickMode, [8]byte{9} }), vpn.ErrUnknownSA},
		"message 3 out of nowhere":    {first(func(m *wire.Message) { m.Responder = [8]byte{9} }), vpn.ErrUnknownSA},
		"no payload that can be read": {first(func(m *wire.Message) { m.Body[3] = 200 }), ike.ErrMalformed},
		"an SA payload of nothing":    {first(func(m *wire.Message) { m.First, m.Body = wire.Chain(wire.Payload{Type: wire.PayloadSA}) }), ike.ErrMalformed},
		"17 KB":                       {first(func(m *wire.Message) { m.Body = append(m.Body, make([]byte, 17<<10)...) }), vpn.ErrTooLarge},
		"Aggressive Mode":             {first(func(m *wire.Message) { m.Exchange = wire.Aggressive }), ike.ErrAggressive},
	} {
		for _, port := range []uint16{portIKE, portNATT} {
			t.Run(fmt.Sprint(name, " to port ", port), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					w := sim.New(t, sim.Options{})
					from := raw{w.Net.Host("198.51.100.66").Listen(port), netip.AddrPortFrom(netip.MustParseAddr(sim.ServerAddr), port)}
					b := tt.datagram
					if port == portNATT {
						if b = append(make([]byte, 4), b...); len(b) < 8 {
							return // too short for the data path, which counts it
						}
					}
					from.say(t, b)
					var why []error
					for _, e := range sim.All[vpn.PacketRefused](w.Events) {
						why = append(why, e.Why)
					}
					for _, e := range sim.All[vpn.FirstMessageRefused](w.Events) {
						why = append(why, e.Why)
					}
					if len(why) != 1 || !errors.Is(why[0], tt.want) {
						t.Errorf("it was dropped because of %v, want once, because of %v", why, tt.want)
					}
				})
			})
		}
	}
}

// An R-U-THERE is authenticated. Whether its cookies are swapped, zero, another SA's, too
// few or missing is not a reason not to answer, whatever length it gives for them. The
// answer has our own cookies. A sequence number that goes back is ignored.
func TestADeadPeerProbeIsAnsweredWhateverCookiesItNames(t *testing.T) {
	join := func(a, b [8]byte) []byte { return append(a[:], b[:]...) }
	for name, tt := range map[string]struct {
		cookies func(ci, cr [8]byte) []byte
		size    byte
	}{
		"as they are":                 {func(ci, cr [8]byte) []byte { return join(ci, cr) }, 16},
		"swapped":                     {func(ci, cr [8]byte) []byte { return join(cr, ci) }, 16},
		"zero":                        {func([8]byte, [8]byte) []byte { return make([]byte, 16) }, 16},
		"another's":                   {func([8]byte, [8]byte) []byte { return []byte("0123456789abcdef") }, 16},
		"missing":                     {func([8]byte, [8]byte) []byte { return nil }, 0},
		"missing, said to be there":   {func([8]byte, [8]byte) []byte { return nil }, 16},
		"one of them":                 {func(ci, _ [8]byte) []byte { return ci[:] }, 8},
		"one of them, said to be two": {func(ci, _ [8]byte) []byte { return ci[:] }, 16},
		"12 bytes, said to be 16":     {func(ci, cr [8]byte) []byte { return join(ci, cr)[:12] }, 16},
		"said to be none":             {func(ci, cr [8]byte) []byte { return join(ci, cr) }, 0},
		"an SPI of ESP":               {func([8]byte, [8]byte) []byte { return []byte{1, 2, 3, 4} }, 4},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range []Profile{RouterOS(RouterOSOptions{}), Android(AndroidOptions{}), NetworkManager(NetworkManagerOptions{})} {
				bubble(t, func(t *testing.T) {
					w := sim.New(t, sim.Options{})
					p.After = nil
					c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
					for i, seq := range []uint32{1000, 1001, 1001, 7, 1002} {
						want := 1
						if seq == 7 {
							want = 0
						}
						if got := c.AskWith(tt.cookies, tt.size, seq); got != want {
							t.Errorf("%s: %d answers to number %d, the %d. question, want %d", p.Name, got, seq, i+1, want)
						}
					}
					if acks := c.Stats().Acks; !slices.Equal(acks, []uint32{1000, 1001, 1001, 1002}) {
						t.Errorf("%s: the answers have the numbers %v", p.Name, acks)
					}
				})
			}
		})
	}
}

// The same holds for a Delete: it may name its SA in any way, as long as it can mean only
// one.
func TestADeleteMeansItsSAHoweverItNamesIt(t *testing.T) {
	join := func(a, b [8]byte) []byte { return append(a[:], b[:]...) }
	for name, tt := range map[string]struct {
		protocol, size byte
		count          uint16
		spi            func(in []byte, ci, cr [8]byte) []byte
		esp, phase1    bool // that is deleted
	}{
		"the pair":                        {3, 4, 1, func(in []byte, _, _ [8]byte) []byte { return in }, true, false},
		"the pair, bytes behind":          {3, 4, 1, func(in []byte, _, _ [8]byte) []byte { return append(in, 1, 2, 3) }, true, false},
		"the pair, of no size":            {3, 0, 1, func(in []byte, _, _ [8]byte) []byte { return in }, true, false},
		"the pair, of 16 bytes":           {3, 16, 1, func(in []byte, _, _ [8]byte) []byte { return in }, true, false},
		"the pair, counted twice":         {3, 4, 2, func(in []byte, _, _ [8]byte) []byte { return in }, true, false},
		"another pair":                    {3, 4, 1, func([]byte, [8]byte, [8]byte) []byte { return []byte{9, 9, 9, 9} }, false, false},
		"phase 1":                         {1, 16, 1, func(_ []byte, ci, cr [8]byte) []byte { return join(ci, cr) }, false, true},
		"phase 1, cookies swapped":        {1, 16, 1, func(_ []byte, ci, cr [8]byte) []byte { return join(cr, ci) }, false, true},
		"phase 1, our cookie zero":        {1, 16, 1, func(_ []byte, ci, _ [8]byte) []byte { return join(ci, [8]byte{}) }, false, true},
		"phase 1, both cookies zero":      {1, 16, 1, func([]byte, [8]byte, [8]byte) []byte { return make([]byte, 16) }, false, true},
		"phase 1, one cookie":             {1, 8, 1, func(_ []byte, ci, _ [8]byte) []byte { return ci[:] }, false, true},
		"phase 1, none":                   {1, 0, 0, func([]byte, [8]byte, [8]byte) []byte { return nil }, false, true},
		"another phase 1":                 {1, 16, 1, func([]byte, [8]byte, [8]byte) []byte { return []byte("0123456789abcdef") }, false, false},
		"something that there is none of": {4, 2, 1, func([]byte, [8]byte, [8]byte) []byte { return []byte{1, 2} }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{})
				c := online(t, NetworkManager(NetworkManagerOptions{}), account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				c.DeleteWith(tt.protocol, tt.size, tt.count, tt.spi)
				time.Sleep(4 * time.Second)
				if got := len(sim.All[vpn.ChildDown](w.Events)) == 1; got != tt.esp {
					t.Errorf("the pair is deleted: %v", got)
				}
				if got := len(sim.All[vpn.PhaseOneDown](w.Events)) == 1; got != tt.phase1 {
					t.Errorf("phase 1 is deleted: %v", got)
				}
			})
		})
	}
}

// An unreadable payload that is not needed has no effect: in message 3, in message 5,
// where it would look like a wrong key, and in Quick Mode.
func TestUnreadablePayloadsThatNothingNeedsCostNothing(t *testing.T) {
	for name, extra := range map[string]wire.Payload{
		"a notify of a byte":            {Type: wire.PayloadNotify, Body: []byte{1}},
		"a notify with a long SPI":      {Type: wire.PayloadNotify, Body: []byte{0, 0, 0, 1, 1, 200, 0x60, 2, 1}},
		"a notify of another DOI":       {Type: wire.PayloadNotify, Body: []byte{0, 0, 0, 7, 1, 0, 0x60, 2}},
		"an empty certificate request":  {Type: wire.PayloadCertReq},
		"an empty certificate":          {Type: wire.PayloadCert},
		"a broken PKCS #7":              {Type: wire.PayloadCert, Body: []byte{1, 0x30, 0x80, 1}},
		"half a Delete":                 {Type: wire.PayloadDelete, Body: []byte{0, 0, 0, 1, 3}},
		"an identification of nothing":  {Type: wire.PayloadID},
		"an empty signature":            {Type: wire.PayloadSig},
		"an empty vendor ID":            {Type: wire.PayloadVendor},
		"a type that nobody knows":      {Type: 99, Body: []byte{1, 2, 3}},
		"a type of one's own, of 300 B": {Type: 200, Body: make([]byte, 300)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range []Profile{Android(AndroidOptions{Deletes: true}), Windows10(WindowsOptions{}), NetworkManager(NetworkManagerOptions{})} {
				bubble(t, func(t *testing.T) {
					p.Odd.Extra = map[string][]wire.Payload{"message 3": {extra}, "message 5": {extra}, "Quick Mode": {extra}}
					if extra.Type == wire.PayloadID {
						delete(p.Odd.Extra, "Quick Mode") // which has two, of both ends
					}
					w := sim.New(t, sim.Options{})
					c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
					passes(t, w, c, 1)
					leaves(t, w, c)
				})
			}
		})
	}
}

// The same holds for a payload that extends beyond its message: the payloads before it
// can be read.
func TestAPayloadThatIsLongerThanItsMessageMakesNoKeyWrong(t *testing.T) {
	for _, p := range []Profile{Android(AndroidOptions{Deletes: true}), Windows10(WindowsOptions{}), NetworkManager(NetworkManagerOptions{})} {
		bubble(t, func(t *testing.T) {
			p.Odd.Extra = map[string][]wire.Payload{"message 5": {{Type: wire.PayloadVendor, Body: []byte("a vendor")}}}
			p.Odd.Broken = "message 5"
			w := sim.New(t, sim.Options{})
			c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
			passes(t, w, c, 1)
		})
	}
}

// Offers may be long: 56 transforms, and as many as a proposal can have.
func TestOffersOfManySuitesAreRead(t *testing.T) {
	for _, n := range []int{56, 57, 100, 254, 255} {
		for _, good := range []int{0, n - 1} {
			t.Run(fmt.Sprintf("%d, the %d. can be accepted", n, good+1), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					list := make([][]byte, n)
					for i := range list {
						list[i] = append(phase1Attributes(28800, 60000, uint16(i+1), 1, ikeMD5, 1), wire.TLV4(12, 28800)...)
					}
					list[good] = phase1Attributes(28800, ikeAES, 256, 1, ikeSHA1, 2)
					p := Android(AndroidOptions{Deletes: true})
					p.IKE.SA = phase1SA(list...)
					w := sim.New(t, sim.Options{})
					c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
					passes(t, w, c, 1)
				})
			})
		}
	}
}

// A nonce has at least 8 bytes (RFC 2409 section 5). After the shortest possible message
// 1, the answer to a message 3 with a short nonce is no larger than that message, and
// comes at once: a client that is refused waits ten seconds, as RouterOS does.
func TestShortNoncesAfterAShortMessage1AreAnsweredAtOnce(t *testing.T) {
	for n := 8; n <= 17; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := RouterOS(RouterOSOptions{})
				p.After = nil
				p.IKE.Nonce, p.ESP.Nonce, p.Odd.NoVendors = n, n, true
				p.IKE.SA = phase1SA(phase1Attributes(28800, ikeAES, 128, 1, ikeSHA1, 14))
				w := sim.New(t, sim.Options{})
				c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				passes(t, w, c, 1)
				if list := sim.All[vpn.PacketRefused](w.Events); len(list) != 0 {
					t.Errorf("refused: %+v", list)
				}
			})
		})
	}
}

// strongSwan and libreswan leave protocol and port out unless they are configured to send
// them.
func TestIdentitiesWithoutProtocolAndPortAreAccepted(t *testing.T) {
	for _, client := range []bool{false, true} {
		for _, libreswan := range []bool{false, true} {
			bubble(t, func(t *testing.T) {
				p := NetworkManager(NetworkManagerOptions{Libreswan: libreswan})
				p.Odd.AnyServer, p.ESP.AnyProtocol = true, client
				w := sim.New(t, sim.Options{})
				c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				passes(t, w, c, 1)
				if err := c.Rekey(); err != nil {
					t.Error(err)
				}
				passes(t, w, c, 3)
				leaves(t, w, c)
			})
		}
	}
}

// A small router computes a Diffie-Hellman exchange for most of a minute.
func TestSlowDevicesHaveTheTimeThatTheyNeed(t *testing.T) {
	for _, what := range []string{"message 3", "message 5", "Quick Mode"} {
		for _, d := range []time.Duration{31 * time.Second, 45 * time.Second, time.Minute} {
			t.Run(fmt.Sprint(what, " after ", d), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := Android(AndroidOptions{Deletes: true})
					p.Odd.Slow = map[string]time.Duration{what: d}
					if what == "Quick Mode" {
						p.Odd.Slow[what] = d - 2*time.Second // a minute from phase 1 to ESP
					}
					w := sim.New(t, sim.Options{})
					c := start(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
					if err := c.Dial(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Millisecond)
					passes(t, w, c, 1)
					leaves(t, w, c)
				})
			})
		}
	}
}

// A peer may repeat a message id, even within one phase 1. Whatever it begins is another
// exchange, and whatever it sends is another message, unless it is identical to the last
// byte. An exchange that was given up leaves its id to the next one.
func TestClientsThatGiveEveryExchangeTheSameIDRenewTheirKeys(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		p.Odd.OneID, p.After = 7, nil
		w := sim.New(t, sim.Options{})
		c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		for n := range uint32(3) {
			began := time.Now()
			if err := c.Rekey(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("renewing took %v", took)
			}
			passes(t, w, c, 10*n)
			if got := c.AskWith(func(ci, cr [8]byte) []byte { return append(ci[:], cr[:]...) }, 16, 1000+n); got != 1 {
				t.Errorf("%d answers to a probe, want one", got)
			}
		}
		time.Sleep(time.Minute)
		leaves(t, w, c)
	})
}
