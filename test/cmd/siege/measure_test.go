package main

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// fine are figures that are exactly at the limits.
func fine() *figures {
	f := &figures{memory: mustMemory, log: mustLog, in: 1 << 20, out: 1 << 20, inSockets: 3}
	for i := range 100 {
		took := soon
		switch {
		case i < 5:
			took = giveUp + time.Millisecond
		case i < 10:
			took = giveUp
		}
		f.came = append(f.came, newcomer{took: took})
	}
	f.pings = pings{took: []time.Duration{time.Millisecond, mustPing, time.Second}, lost: 3}
	return f
}

func TestAMustIsMissedWhereItIs(t *testing.T) {
	if m := fine().missed(); len(m) > 0 {
		t.Errorf("at the bounds: %v are missed", m)
	}
	for want, spoil := range map[string]func(*figures){
		"3 s":           func(f *figures) { f.came[50].took++ },
		"10 s":          func(f *figures) { f.came[9].took++ },
		"ping":          func(f *figures) { f.pings.took[1]++ },
		"lost":          func(f *figures) { f.pings.lost++ },
		"memory":        func(f *figures) { f.memory++ },
		"log":           func(f *figures) { f.log += 0.1 },
		"amplification": func(f *figures) { f.out += f.in / 100 },
	} {
		f := fine()
		spoil(f)
		if m := f.missed(); !slices.Equal(m, []string{want}) {
			t.Errorf("%s is missed, and the verdict is %v", want, m)
		}
	}
	f := fine()
	f.came[50].err = errSilent
	if m := f.missed(); !slices.Equal(m, []string{"3 s", "10 s"}) {
		t.Errorf("one more fails, and the verdict is %v", m)
	}
	f = fine()
	f.pings.took = nil
	if m := f.missed(); !slices.Equal(m, []string{"ping"}) {
		t.Errorf("no ping comes back, and the verdict is %v", m)
	}
}

func TestPingsAreEchoRequests(t *testing.T) {
	for _, seq := range []uint16{0, 1, 0xff, 0x7fff, 0xf7ff, 0xf800, 0xffff} {
		b := echoRequest(netip.MustParseAddr(insideAddr), netip.MustParseAddr(insideAddr), seq)
		_, _, protocol, echo, err := wire.ParseIP(b)
		if err != nil || protocol != 1 || internetSum(echo) != 0 {
			t.Errorf("sequence number %d: protocol %d, sum %#x, %v", seq, protocol, internetSum(echo), err)
		}
	}
}
