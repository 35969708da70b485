package hostnet

import (
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What should be in ESP is dropped outside of it: in, out, of each family, of one peer or of
// all, and again after somebody has flushed the rules; and nothing is left of that.
func TestWhatShouldBeInESPIsDropped(t *testing.T) {
	inNamespace(t, func() {
		device(t, "adit0")
		before := nftRules(t)
		file := filepath.Join(t.TempDir(), "undo.json")
		h, err := Apply(file, testPlan())
		if err != nil {
			t.Error(err)
			return
		}
		list := []Clear{
			{47, netip.MustParseAddr("192.0.2.7")}, {4, netip.MustParseAddr("192.0.2.7")}, {47, netip.MustParseAddr("2001:db8::7")}, {41, netip.Addr{}},
		}
		if err := h.RefuseClear(list); err != nil {
			t.Error(err)
		}
		want := func() {
			t.Helper()
			rules := nftRules(t)
			for _, line := range []string{
				"ip saddr 192.0.2.7 meta l4proto 47 drop", "ip daddr 192.0.2.7 meta l4proto 47 drop", "ip saddr 192.0.2.7 meta l4proto 4 drop",
				"ip6 saddr 2001:db8::7 meta l4proto 47 drop", "ip6 daddr 2001:db8::7 meta l4proto 47 drop", "\t\tmeta l4proto 41 drop",
				"type filter hook input priority -300", "type filter hook output priority -300",
			} {
				if !strings.Contains(rules, line) {
					t.Errorf("there is no %q in\n%s", line, rules)
				}
			}
			if n := strings.Count(rules, "\t\tmeta l4proto 41 drop"); n != 4 {
				t.Errorf("%d rules for everybody, want 4:\n%s", n, rules)
			}
		}
		want()
		if did, err := h.Mend(); err != nil || len(did) != 0 {
			t.Errorf("nothing was to be mended: %q, %v", did, err)
		}
		for _, change := range []string{"nft flush ruleset", "nft delete table ip6 adit_adit0_clear", "nft flush chain ip adit_adit0_clear out"} {
			run(t, change)
			if did, err := h.Mend(); err != nil || len(did) == 0 {
				t.Errorf("%s: %q, %v", change, did, err)
			}
			want()
		}
		if _, err := Replay(file); err != nil { // as after a crash
			t.Error(err)
		}
		run(t, "ip link del adit0")
		if after := nftRules(t); after != before {
			t.Errorf("the rules were\n%sand are\n%s", before, after)
		}
	})
}

// nftRules is all of the host's nftables, with numbers.
func nftRules(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("nft", "-nn", "-y", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// A record that names another table than ours is refused.
func TestARecordOfAnotherClearTableIsDamaged(t *testing.T) {
	for name, ok := range map[string]bool{"": true, "adit_adit0_clear": true, "filter": false, "adit_adit0": false} {
		if err := (&record{Device: "adit0", Clear: name}).valid(); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
