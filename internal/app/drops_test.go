package app

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/vpn"
)

// Whatever message of IKE is dropped, a metric counts it by a reason of its own,
// and a line at level debug names it; what is in a message and means nothing is
// counted, too.
func TestEveryDropOfIKECanBeSeen(t *testing.T) {
	who := vpn.Who{Remote: netip.MustParseAddrPort("198.51.100.7:500")}
	all := append(vpn.DropReasons(),
		ike.ErrTruncated, ike.ErrMalformed, ike.ErrVersion, ike.ErrUnexpected, ike.ErrCookies, ike.ErrReplay, ike.ErrHash,
		ike.ErrUndecryptable, ike.ErrTrials, ike.ErrKeyExchange, ike.ErrNoProposal, ike.ErrBudget, ike.ErrLimit, ike.ErrNoSPI,
		ike.ErrClosed, ike.ErrCertificate, ike.ErrSignature, ike.ErrIdentity, ike.ErrAggressive)
	for _, why := range all {
		for _, e := range []vpn.Event{
			vpn.PacketRefused{Who: who, Layer: vpn.LayerIKE, Why: fmt.Errorf("%w: a detail", why)},
			vpn.FirstMessageRefused{Who: who, Why: fmt.Errorf("%w: a detail", why)},
		} {
			var out bytes.Buffer
			o := &events{log: newLogger(&out, conf.Log{Level: "debug", Format: "json"}), meter: newMeter()}
			o.Observe(e)
			if got := counted(t, o.meter.refused, "reason"); got != why.Error() {
				t.Errorf("%T %v is counted as %q", e, why, got)
			}
			if !strings.Contains(out.String(), why.Error()) {
				t.Errorf("%T %v: the log has %s", e, why, out.String())
			}
		}
	}
	for kind := ike.NoteNotify; kind <= ike.NoteFragments; kind++ {
		o := &events{log: newLogger(&bytes.Buffer{}, conf.Log{Level: "info"}), meter: newMeter()}
		o.Observe(vpn.Noted{Who: who, Layer: vpn.LayerIKE, Kind: kind.String()})
		if got := counted(t, o.meter.noted, "kind"); got != kind.String() || strings.Contains(got, "(") {
			t.Errorf("note %d is counted as %q", kind, got)
		}
	}
}

// counted is the value of a label of the one thing that was counted.
func counted(t *testing.T, c prometheus.Collector, label string) string {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 || families[0].GetMetric()[0].GetCounter().GetValue() != 1 {
		t.Fatalf("counted %v, %v", families, err)
	}
	for _, l := range families[0].GetMetric()[0].GetLabel() {
		if l.GetName() == label {
			return l.GetValue()
		}
	}
	return ""
}
