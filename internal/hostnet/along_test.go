package hostnet

import (
	"path/filepath"
	"testing"
)

// When forwarding is turned off, the kernel turns it off for every device, and makes the
// host accept redirects. What was set differently before is restored, after an orderly
// end and after a crash.
func TestForwardingOffLeavesTheRestAsItWas(t *testing.T) {
	was := map[string]string{
		"net/ipv4/conf/all/accept_redirects": "0", "net/ipv4/conf/eth8/forwarding": "1", "net/ipv4/conf/eth9/forwarding": "0", "net/ipv4/conf/default/forwarding": "1",
		"net/ipv6/conf/eth8/forwarding": "1", "net/ipv6/conf/eth9/forwarding": "0", "net/ipv6/conf/default/forwarding": "1", "net/ipv6/conf/all/forwarding": "0",
		"net/ipv6/conf/eth8/accept_ra": "1", "net/ipv6/conf/all/accept_redirects": "0", "net/ipv4/ip_forward": "0",
	}
	for _, crash := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "undo.json")
		inNamespace(t, func() {
			device(t, "eth8")
			device(t, "eth9")
			for _, all := range []bool{true, false} { // what is of all devices changes each
				for name, value := range was {
					if (name == "net/ipv4/ip_forward" || name == "net/ipv6/conf/all/forwarding") == all {
						put(t, name, value)
					}
				}
			}
			device(t, "adit0")
			p := testPlan()
			p.Forward6, p.Masquerade6 = true, true
			h, err := Apply(file, p)
			if err != nil {
				t.Error(err)
				return
			}
			if on, err := Forwarding(); err != nil || !on {
				t.Errorf("forwarding is %v, %v", on, err)
			}
			if crash {
				h.watch.close()
				_, err = Replay(file)
			} else {
				_, err = h.Close()
			}
			if err != nil {
				t.Error(err)
			}
			for name, want := range was {
				if got, err := readSysctl(name); err != nil || got != want {
					t.Errorf("crash %v: %s is %q, %v, and was %q", crash, name, got, err, want)
				}
			}
		})
	}
}

func put(t *testing.T, name, value string) {
	t.Helper()
	if err := writeSysctl(name, value); err != nil {
		t.Error(err)
	}
}
