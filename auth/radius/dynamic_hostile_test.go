package radius

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/auth"
)

// filled is a request of 4,096 bytes: as many of one attribute as there is room for, behind others.
func filled(code radius.Code, with func(i int) []byte, more ...[]byte) []byte {
	left := radius.MaxPacketLength - 38 - len(bytes.Join(more, nil))
	for i := 0; ; i++ {
		b := with(i)
		if left -= len(b); left < 0 {
			return ask(code, more...)
		}
		more = append(more, b)
	}
}

// Who has the secret may send anything. It is answered once, and what it is about is what all of
// its attributes say.
func TestWhatThoseWithTheSecretCanSend(t *testing.T) {
	id := tlv(44, "a1")
	same := func(b []byte) func(int) []byte { return func(int) []byte { return b } }
	for name, c := range map[string]struct {
		b     []byte
		cause uint32
		whom  string
	}{
		"a user a thousand times":    {filled(disconnect, same(tlv(1, "bob"))), 0, "b1"},
		"a thousand users":           {filled(disconnect, func(i int) []byte { return tlv(1, fmt.Sprint(i)) }), 503, ""},
		"all spellings of a user":    {filled(disconnect, func(i int) []byte { return tlv(1, []string{"alice", "ALICE", "Alice", "aLICE"}[i%4]) }), 0, "a1 a2"},
		"a name of 253 bytes":        {filled(disconnect, same(tlv(1, strings.Repeat("x", 253)))), 503, ""},
		"our address 600 times":      {filled(disconnect, same(tlv(4, four("192.0.2.1"))), id), 0, "a1"},
		"NAS-Port-Type 600 times":    {filled(disconnect, same(tlv(61, word(5)))), 402, ""},
		"two NAS-Port-Types":         {filled(disconnect, func(i int) []byte { return tlv(61, word(uint32(5+i%2))) }, id), 503, ""},
		"two prefixes":               {ask(disconnect, tlv(97, "\x00\x40"+four("2001:db8:1::")[:8]), tlv(97, "\x00\x40"+four("2001:db8:2::")[:8])), 503, ""},
		"another's name and ours":    {ask(disconnect, id, tlv(32, "adit"), tlv(32, "other")), 403, ""},
		"rules without an end":       {filled(coaRequest, func(i int) []byte { return tlv(92, fmt.Sprintf("deny in ip from any to 10.%d.0.0/16", i)) }, id), 0, "a1"},
		"rates without an end":       {filled(coaRequest, same(vsa(vendorMikrotik, 8, "1M/1M")), id), 0, "a1"},
		"a vendor's without an end":  {filled(coaRequest, same(vsa(vendorMikrotik, 99, "")), id), 401, ""},
		"classes without an end":     {filled(coaRequest, same(tlv(25, "")), id), 0, "a1"},
		"the largest numbers":        {ask(coaRequest, id, tlv(27, word(1<<32-1)), tlv(28, word(1<<32-1)), tlv(85, word(1<<32-1)), vsa(vendorMikrotik, 17, word(1<<32-1)), vsa(vendorMikrotik, 18, word(1<<32-1))), 0, "a1"},
		"a rate beyond all":          {ask(coaRequest, id, vsa(vendorMikrotik, 8, strings.Repeat("9", 200)+"M")), 407, ""},
		"Authorize-Only, and Framed": {ask(coaRequest, id, tlv(6, word(2)), tlv(6, word(17)), tlv(28, word(60))), 405, ""},
	} {
		t.Run(name, func(t *testing.T) {
			crew := newCrew()
			d := dynamicOf(crew)
			code, cause, _ := opened(t, c.b, d.Handle(t.Context(), coaFrom, netip.Addr{}, c.b))
			whom := crew.ended
			for id := range crew.grants {
				whom = append(whom, id)
			}
			if slices.Sort(whom); cause != c.cause || strings.Join(whom, " ") != c.whom {
				t.Errorf("%v with Error-Cause %d, done to %v", code, cause, whom)
			}
			if crew.looked > 3 {
				t.Errorf("all sessions are gone through %d times", crew.looked)
			}
		})
	}
}

// A request of which so much comes back that no answer has room for it is not done. Where there is
// just room, the answer goes without its text.
func TestWhatCannotBeAnsweredIsNotDone(t *testing.T) {
	for code, kind := range map[radius.Code]byte{disconnect: 33, coaRequest: 24} {
		for _, spare := range []int{0, 1, 8, 250, 251, 259, 300} {
			crew := newCrew()
			d := dynamicOf(crew)
			with := [][]byte{tlv(44, "a1")}
			if code == coaRequest {
				with[0] = tlv(44, "c9") // it is refused, with a text
				with = append(with, tlv(28, word(60)))
			}
			for left := radius.MaxPacketLength - answerRoom - spare; left >= 2; {
				n := min(left, 255)
				if left-n == 1 {
					n--
				}
				with, left = append(with, tlv(kind, strings.Repeat("p", n-2))), left-n
			}
			b := ask(code, with...)
			if len(b) > radius.MaxPacketLength { // for want of a Message-Authenticator
				b = seal(code, coaSecret, with...)
				d = dynamicOf(crew, func(cfg *DynamicConfig) { cfg.Authorities[0].AllowUnsigned = true })
			}
			if len(b) > radius.MaxPacketLength {
				t.Fatalf("%v: %d bytes", code, len(b))
			}
			if reply := d.Handle(t.Context(), coaFrom, netip.Addr{}, b); reply == nil {
				t.Errorf("%v: with %d bytes to spare it is not answered", code, spare)
			} else {
				opened(t, b, reply)
			}
		}
	}
	crew := newCrew()
	d := dynamicOf(crew)
	b := filled(disconnect, func(i int) []byte { return tlv(33, "") }, tlv(44, "a1"))
	if reply := d.Handle(t.Context(), coaFrom, netip.Addr{}, b); reply != nil || len(crew.ended) > 0 || d.Stats().Dropped["malformed"] != 1 {
		t.Errorf("it is done: %v, %+v", crew.ended, d.Stats())
	}
}

// slowest is a server whose sessions take their time to end, as long as they are waited for.
type slowest struct {
	*crew
	leave chan struct{}
}

func (s *slowest) Disconnect(ctx context.Context, ids []string) (int, error) {
	select {
	case <-s.leave:
		return s.crew.Disconnect(ctx, ids)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Of a thousand requests at the same time as many are worked on as there is room for. Each is
// answered once, whether its session ends in time, or has ended by itself; then there is room again.
func TestAThousandRequestsAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowest{newCrew(), make(chan struct{})}
		d := NewDynamic(s, *dynamicOf(s.crew).cfg.Load(), nil, nil)
		var mu sync.Mutex
		causes := map[uint32]int{}
		send := func(from, to int) {
			for i := from; i < to; i++ {
				b := ask(disconnect, tlv(44, "b1"), tlv(33, fmt.Sprint(i)))
				d.HandleOver("r", []byte(coaSecret), b, func(reply []byte) {
					_, cause, _ := opened(t, b, reply)
					mu.Lock()
					defer mu.Unlock()
					causes[cause]++
				})
			}
			synctest.Wait()
		}
		send(0, 1000)
		s.mu.Lock()
		s.live = slices.DeleteFunc(s.live, func(l auth.Live) bool { return l.Call.SessionID == "b1" })
		s.mu.Unlock()
		mu.Lock()
		if n := d.Stats().Dropped["busy"]; n != 1000-maxWorking || len(causes) > 0 {
			t.Errorf("%d are dropped, answered are %v", n, causes)
		}
		mu.Unlock()
		time.Sleep(workTime)
		synctest.Wait()
		send(1000, 1001)
		close(s.leave)
		s.mu.Lock()
		s.live = newCrew().live
		s.mu.Unlock()
		for i := range 20 {
			send(2000+i*50, 2050+i*50)
		}
		want := map[uint32]int{506: maxWorking, 503: 1, 0: 1000}
		mu.Lock()
		defer mu.Unlock()
		if fmt.Sprint(causes) != fmt.Sprint(want) || len(d.room) > 0 {
			t.Errorf("the answers are %v, want %v", causes, want)
		}
	})
}
