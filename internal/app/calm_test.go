package app

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/vpn"
)

// Strangers cannot fill a disk with log lines, nor have the greeter wait for
// one.
func TestAFloodOfStrangersIsLoggedInAFewLines(t *testing.T) {
	who := vpn.Who{Remote: netip.MustParseAddrPort("192.0.2.1:500")}
	for level, e := range map[string]vpn.Event{
		"info":  vpn.FirstMessageRefused{Who: who, Why: errors.New("noise")},
		"debug": vpn.PacketRefused{Who: who, Layer: vpn.LayerIKE, Why: vpn.ErrUnknownSA},
	} {
		var out bytes.Buffer
		o := &events{log: newLogger(&out, conf.Log{Level: level, Format: "json"}), meter: newMeter()}
		for range 10000 {
			o.Observe(e)
		}
		// The clock may pass a second or two meanwhile.
		if n := strings.Count(out.String(), "\n"); n < calmRate || n > 20*calmRate {
			t.Errorf("%d lines at level %s", n, level)
		}
	}
}

func TestWhatWasNotLoggedIsCounted(t *testing.T) {
	var c calm
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range calmRate + 5 {
		c.allow(now)
	}
	if missed, ok := c.allow(now.Add(time.Second)); !ok || missed != 5 {
		t.Errorf("missed %d, %v; want 5", missed, ok)
	}
	if missed, ok := c.allow(now.Add(time.Second)); !ok || missed != 0 {
		t.Errorf("then missed %d, %v; want none", missed, ok)
	}
}
