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

// A client's PPP that starts after our first request was sent would wait for
// our restart timer: three seconds of every connection of pppd.
func TestRequestIsRepeatedWhenThePeerIsFirstHeard(t *testing.T) {
	ask := unhex(t, "ff03 c021 01 01 000a 05 06 01020304")
	again := unhex(t, "ff03 c021 01 02 000a 05 06 01020304")
	for _, c := range []struct {
		what  string
		after time.Duration
		want  int
	}{{"late", 700 * time.Millisecond, 1}, {"in time", 100 * time.Millisecond, 0}} {
		l := New(Env{Config: serverConfig(MethodMSCHAPv2), Rand: testRand(1)})
		l.Start(epoch)
		if n := requests(drain(l)); n != 1 {
			t.Fatalf("Start sent %d requests", n)
		}
		now := epoch.Add(c.after)
		if err := l.HandlePacket(now, ask); err != nil {
			t.Fatal(err)
		}
		if n := requests(drain(l)); n != c.want {
			t.Errorf("a peer that speaks %s made us repeat %d requests, want %d", c.what, n, c.want)
		}
		if err := l.HandlePacket(now.Add(time.Second), again); err != nil {
			t.Fatal(err)
		}
		if n := requests(drain(l)); n != 1-c.want {
			t.Errorf("%s: its second request made us repeat %d, want %d: once is enough", c.what, n, 1-c.want)
		}
	}
}
