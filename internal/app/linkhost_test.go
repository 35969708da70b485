package app

import (
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/links"
	"github.com/adit-vpn/adit/internal/session"
)

// Neither end of a link has the address of the host's gateway inside: it would be reached no
// more.
func TestALinkTakesNoGatewaysAddress(t *testing.T) {
	done, skip := make(chan struct{}), ""
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			skip = "no network namespace: " + err.Error()
			return
		}
		if out, err := exec.Command("sh", "-ec", `ip tuntap add eth9 mode tun; ip tuntap add adit-l mode tun; ip link set eth9 up; ip link set adit-l up
			ip addr add 192.0.2.1/24 dev eth9; ip route add default via 192.0.2.254`).CombinedOutput(); err != nil {
			skip = "no devices: " + string(out)
			return
		}
		gateway, other := netip.MustParseAddr("192.0.2.254"), netip.MustParseAddr("172.20.1.1")
		for name, x := range map[string]struct {
			wire session.Wire
			want string
		}{
			"the other end has it":      {session.Wire{Local: other, Peer: gateway}, "the other end of the link has an address"},
			"the other end gives it":    {session.Wire{Local: gateway, Peer: other}, "the other end of the link gives us an address"},
			"it gives it, and has none": {session.Wire{Local: gateway}, "the other end of the link gives us an address"},
		} {
			err := new(linkHost).Wire(&links.Link{Device: "adit-l"}, session.Route{MTU: 1400, Wire: &x.wire})
			if err == nil || !strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), "the gateway 192.0.2.254") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := new(linkHost).Wire(&links.Link{Device: "adit-l"}, session.Route{MTU: 1400, Wire: &session.Wire{Local: netip.MustParseAddr("192.0.2.1"), Peer: other}}); err != nil {
			t.Errorf("an address that the host has is none of the link's: %v", err)
		}
	}()
	if <-done; skip != "" {
		t.Skip(skip)
	}
}
