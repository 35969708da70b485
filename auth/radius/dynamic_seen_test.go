package radius

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// dated is an Event-Timestamp some time from now.
func dated(from time.Duration) []byte { return tlv(55, word(uint32(time.Now().Add(from).Unix()))) }

// A request whose answer was lost comes again, and gets the same answer: it is done once. One
// whose signature is wrong does not get it.
func TestARepeatGetsTheSameAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crew := newCrew()
		d := dynamicOf(crew)
		b := ask(disconnect, tlv(44, "a1"))
		first := d.Handle(t.Context(), coaFrom, netip.Addr{}, b)
		time.Sleep(29 * time.Second)
		if again := d.Handle(t.Context(), coaFrom, netip.Addr{}, b); !bytes.Equal(first, again) || len(crew.ended) != 1 {
			t.Errorf("the second answer is %x, not %x; %d were ended", again, first, len(crew.ended))
		}
		forged := slices.Clone(b)
		forged[len(forged)-1]++
		if d.Handle(t.Context(), coaFrom, netip.Addr{}, forged) != nil {
			t.Error("one that only looks like it is answered")
		}
		time.Sleep(2 * time.Second)
		if d.Handle(t.Context(), coaFrom, netip.Addr{}, b); len(crew.ended) != 2 {
			t.Error("after half a minute one without a time is a repeat")
		}
		if st := d.Stats(); st.Repeats != 1 || st.Results[[2]string{"Disconnect", "done"}] != 2 {
			t.Errorf("counted: %+v", st)
		}
	})
}

// A request that was recorded is not done again, from whichever address and port it is sent, for
// as long as its Event-Timestamp would be believed, and after that it is stale.
func TestARecordedRequestIsNotDoneAgain(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"late": -200 * time.Second, "in time": 0, "ahead": 290 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				crew := newCrew()
				d := dynamicOf(crew)
				b := ask(disconnect, tlv(1, "alice"), dated(ahead))
				first := d.Handle(t.Context(), coaFrom, netip.Addr{}, b)
				done := len(crew.ended)
				for i := range 700 {
					from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i%4 + 5)}), uint16(40000+i))
					answer := d.Handle(t.Context(), from, netip.Addr{}, b)
					if i < 30 && !bytes.Equal(answer, first) || i > 30 && answer != nil {
						t.Fatalf("after %d s the answer is %x", i, answer)
					}
					time.Sleep(time.Second)
				}
				if st := d.Stats(); done != 2 || len(crew.ended) != done || st.Results[[2]string{"Disconnect", "done"}] != 1 || st.Dropped["stale"] == 0 || st.Dropped["replayed"] == 0 {
					t.Errorf("ended %v, counted %+v", crew.ended, st)
				}
				if len(d.seen.aging) != len(d.seen.of) {
					t.Errorf("%d and %d are remembered", len(d.seen.aging), len(d.seen.of))
				}
			})
		})
	}
}

// Two whom the same secret lets ask are one for those who record what they send.
func TestARecordedRequestIsNotDoneAgainForAnotherWithTheSecret(t *testing.T) {
	crew := newCrew()
	d := dynamicOf(crew, func(cfg *DynamicConfig) {
		cfg.Authorities = append(cfg.Authorities, Authority{Network: netip.MustParsePrefix("192.0.2.200/32"), Secret: secret.String(coaSecret)})
	})
	b := ask(disconnect, tlv(1, "alice"), dated(0))
	for _, from := range []string{"203.0.113.5:40000", "192.0.2.200:40000"} {
		d.Handle(t.Context(), netip.MustParseAddrPort(from), netip.Addr{}, b)
	}
	if len(crew.ended) != 2 {
		t.Errorf("ended: %v", crew.ended)
	}
}

// Who demands an Event-Timestamp drops requests without; over TLS nobody needs one.
func TestAnEventTimestampCanBeDemanded(t *testing.T) {
	crew := newCrew()
	d := dynamicOf(crew, func(cfg *DynamicConfig) { cfg.Dated = true })
	if d.Handle(t.Context(), coaFrom, netip.Addr{}, ask(disconnect, tlv(44, "a1"))) != nil || d.Stats().Dropped["undated"] != 1 {
		t.Errorf("counted: %+v", d.Stats())
	}
	if d.Handle(t.Context(), coaFrom, netip.Addr{}, ask(disconnect, tlv(44, "a2"), dated(0))) == nil {
		t.Error("one with an Event-Timestamp is dropped")
	}
	answered := make(chan []byte, 1)
	d.HandleOver("r", []byte(coaSecret), ask(disconnect, tlv(44, "b1")), func(b []byte) { answered <- b })
	if <-answered == nil || fmt.Sprint(crew.ended) != "[a2 b1]" {
		t.Errorf("ended: %v", crew.ended)
	}
}

// What is remembered of requests is bounded, and none makes another be forgotten that could be
// sent again. As many as a busy server sends have room.
func TestRequestsThatAreRememberedAreBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := &given{}
	now := time.Unix(1e9, 0)
	id := func(i int) (id answerID) {
		binary.BigEndian.PutUint64(id.authenticator[:], uint64(i))
		return id
	}
	for i := range maxRequests + 5 {
		_, turn := s.begin(now, now.Add(maxClockSkew), id(i))
		if full := i >= maxRequests; full != (turn == turnFull) || !full && turn != turnFirst {
			t.Fatalf("the %dth is %d", i, turn)
		}
		s.end(now, id(i), make([]byte, 100))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if size := int64(after.HeapAlloc) - int64(before.HeapAlloc); size > 24<<20 {
		t.Errorf("they take %d bytes", size)
	}
	if s.size > maxAnswerBytes {
		t.Errorf("%d bytes of answers are kept", s.size)
	}
	if _, turn := s.begin(now, now.Add(maxClockSkew), id(0)); turn != turnForgone {
		t.Errorf("the first is %d when it comes again", turn)
	}
	if b, turn := s.begin(now, now.Add(maxClockSkew), id(maxRequests-1)); turn != turnAgain || len(b) != 100 {
		t.Errorf("the last is %d, with %d bytes", turn, len(b))
	}
	now = now.Add(maxClockSkew + time.Second)
	if _, turn := s.begin(now, now.Add(maxClockSkew), id(maxRequests)); turn != turnFirst || len(s.of) != 1 || len(s.aging) != 1 || s.size != 0 {
		t.Errorf("it is %d when the others are stale; %d are remembered", turn, len(s.of))
	}
	runtime.KeepAlive(s)
}

// 200 requests a second go on for ever, and each has its answer for half a minute.
func TestABusyServerFindsRoom(t *testing.T) {
	s := &given{}
	now := time.Unix(1e9, 0)
	for i := range 200 * 700 {
		var id answerID
		binary.BigEndian.PutUint64(id.authenticator[:], uint64(i))
		if _, turn := s.begin(now, now.Add(maxClockSkew), id); turn != turnFirst {
			t.Fatalf("the %dth is %d", i, turn)
		}
		s.end(now, id, make([]byte, 100))
		if i >= 200*29 {
			binary.BigEndian.PutUint64(id.authenticator[:], uint64(i-200*29))
			if b, turn := s.begin(now, now.Add(maxClockSkew), id); turn != turnAgain || b == nil {
				t.Fatalf("after 29 s the %dth is %d", i, turn)
			}
		}
		now = now.Add(5 * time.Millisecond)
	}
}
