package hostnet

import (
	"net/netip"
	"strings"
	"testing"
)

// If the host's nftables cannot hold the guard, the server works without it, as long as
// the clients can be hidden. It says what is wrong, and adds the guard when that becomes
// possible.
func TestAHostThatCannotHaveTheGuard(t *testing.T) {
	bad := Policy{DNS: []netip.Addr{{}}} // no kernel takes a rule for no address
	p := townPlan()
	p.Policy = bad
	inTown(t, p, "", func(w *town) {
		if err := w.host.Unguarded(); err == nil {
			t.Error("nobody is told that there is no guard")
		}
		if !hidesAddress(t, clientAt[0]) || !strings.Contains(output(t, "nft list table ip adit_adit0"), "masquerade") {
			t.Error("clients are not hidden")
		}
		for range 3 { // each of them would be a change that has the server look again
			if did, err := w.host.Mend(); err != nil || len(did) > 0 {
				t.Errorf("mended %v, %v", did, err)
			}
			for len(w.host.Changed()) > 0 {
				<-w.host.Changed()
			}
		}
		if err := w.host.SetPolicy(Policy{}); err != nil || w.host.Unguarded() != nil {
			t.Errorf("with another policy: %v, %v", err, w.host.Unguarded())
		}
		w.neighbourTries(nil)
		// A later change that is refused leaves the rules that are there.
		if err := w.host.SetPolicy(bad); err == nil {
			t.Error("a policy that no kernel takes was taken")
		}
		w.neighbourTries(nil)
		w.clientTries()
	})
}
