package ppp

import (
	"testing"
	"time"
)

// requests counts the Configure-Requests of LCP among events.
func requests(events []Event) (n int) {
	for _, e := range events {
		if s, ok := e.(Send); ok && len(s.Frame) > 4 && s.Frame[2] == 0xc0 && s.Frame[3] == 0x21 && s.Frame[4] == codeConfigureRequest {
			n++
		}
	}
	return n
}

// started is a link that has sent its first Configure-Request.
func started(t *testing.T) *Link {
	t.Helper()
	l := New(Env{Config: serverConfig(MethodMSCHAPv2), Rand: testRand(1)})
	l.Start(epoch)
	if n := requests(drain(l)); n != 1 {
		t.Fatalf("Start sent %d requests", n)
	}
	return l
}

func handle(t *testing.T, l *Link, now time.Time, frame string) []Event {
	t.Helper()
	if err := l.HandlePacket(now, unhex(t, frame)); err != nil {
		t.Fatal(err)
	}
	return drain(l)
}

const (
	peerAsks      = "ff03 c021 01 01 000a 05 06 01020304"
	peerAsksAgain = "ff03 c021 01 02 000a 05 06 01020304"
)

// A client's PPP that starts after our first request was sent would wait for
// our restart timer: three seconds of every connection of pppd.
func TestRequestIsRepeatedWhenThePeerIsFirstHeard(t *testing.T) {
	for _, c := range []struct {
		what         string
		heard, again time.Duration
	}{
		{"after the request was surely lost", 700 * time.Millisecond, 700 * time.Millisecond},
		{"while an answer may be on its way", 80 * time.Millisecond, nudgeAfter},
	} {
		l := started(t)
		n := requests(handle(t, l, epoch.Add(c.heard), peerAsks))
		if c.again > c.heard {
			if n != 0 {
				t.Errorf("heard %s: it was repeated at once", c.what)
			}
			if !l.Deadline().Equal(epoch.Add(c.again)) {
				t.Errorf("heard %s: the next deadline is after %v, want %v", c.what, l.Deadline().Sub(epoch), c.again)
			}
			l.HandleTimer(epoch.Add(c.again))
			n = requests(drain(l))
		}
		if n != 1 {
			t.Errorf("heard %s: %d requests were repeated, want 1", c.what, n)
		}
		if n := requests(handle(t, l, epoch.Add(c.again+time.Second), peerAsksAgain)); n != 0 {
			t.Errorf("heard %s: the second word repeated %d more: once is enough", c.what, n)
		}
	}
}

// A repeated request would take down the layer of a peer that has answered.
func TestAnsweredRequestIsNotRepeated(t *testing.T) {
	l := New(Env{Config: serverConfig(MethodMSCHAPv2), Rand: testRand(1)})
	l.Start(epoch)
	var ack []byte
	for _, e := range drain(l) {
		if s, ok := e.(Send); ok {
			ack = append([]byte(nil), s.Frame...)
			ack[4] = codeConfigureAck
		}
	}
	now := epoch.Add(80 * time.Millisecond)
	handle(t, l, now, "ff03 c021 01 01 0007 0d 03 06") // an option that is rejected: we stay without an agreement
	if err := l.HandlePacket(now, ack); err != nil {
		t.Fatal(err)
	}
	drain(l)
	l.HandleTimer(epoch.Add(nudgeAfter))
	if n := requests(drain(l)); n != 0 {
		t.Errorf("an acknowledged request was repeated %d times", n)
	}
}
