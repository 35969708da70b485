package hostnet

import (
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inNamespace runs f in a network namespace of its own, on a thread that is
// thrown away with it. It needs root.
func inNamespace(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	var unshareErr error
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unshareErr = unix.Unshare(unix.CLONE_NEWNET); unshareErr == nil {
			f()
		}
	}()
	<-done
	if unshareErr != nil {
		t.Fatalf("a network namespace needs root: %v", unshareErr)
	}
}

// device makes a device as the server's would be.
func device(t *testing.T, name string) {
	t.Helper()
	if err := netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: netlink.TUNTAP_MODE_TUN}); err != nil {
		t.Fatal(err)
	}
}

func tables(t *testing.T) (names []string) {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range list {
		names = append(names, table.Name)
	}
	return names
}

// applied makes the server's device and applies a plan, nil if that fails.
func applied(t *testing.T, file string, p Plan) *Host {
	t.Helper()
	device(t, p.Device)
	h, err := Apply(file, p)
	if err != nil {
		t.Error(err)
	}
	return h
}

var pool = netip.MustParsePrefix("10.83.0.0/16")

func testPlan() Plan {
	return Plan{
		Device: "adit0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.83.0.1/16")},
		Routes: []netip.Prefix{netip.MustParsePrefix("172.16.9.9/32")}, Masquerade: true,
	}
}

func TestApplyIsUndone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "undo.json")
	inNamespace(t, func() {
		h := applied(t, file, testPlan())
		if h == nil {
			return
		}
		if on, err := Forwarding(); err != nil || !on {
			t.Errorf("forwarding is %v, %v", on, err)
		}
		if got := tables(t); len(got) != 1 || got[0] != "adit_adit0" {
			t.Errorf("tables = %v", got)
		}
		routes, err := netlink.RouteGet([]byte{172, 16, 9, 9})
		if err != nil || len(routes) != 1 {
			t.Errorf("the further network is not routed: %v %v", routes, err)
		}
		if _, err := h.Close(); err != nil {
			t.Error(err)
		}
		wantClean(t, file)
		if _, err := h.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
	})
}

func wantClean(t *testing.T, file string) {
	t.Helper()
	if on, _ := Forwarding(); on {
		t.Error("forwarding is still on")
	}
	if got := tables(t); len(got) != 0 {
		t.Errorf("tables = %v, want none", got)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the undo record is still there")
	}
}

func TestTheNextStartUndoesWhatACrashLeft(t *testing.T) {
	file := filepath.Join(t.TempDir(), "undo.json")
	inNamespace(t, func() {
		device(t, "adit0")
		if _, err := Apply(file, testPlan()); err != nil { // and never Close
			t.Error(err)
			return
		}
		if _, err := Replay(file); err != nil {
			t.Error(err)
		}
		wantClean(t, file)
		if _, err := Replay(file); err != nil {
			t.Errorf("Replay without a record: %v", err)
		}
	})
}

func TestForwardingThatWasOnStaysOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "undo.json")
	inNamespace(t, func() {
		device(t, "adit0")
		if err := writeSysctl(forwarding, "1"); err != nil {
			t.Error(err)
			return
		}
		h, err := Apply(file, testPlan())
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := h.Close(); err != nil {
			t.Error(err)
		}
		if on, _ := Forwarding(); !on {
			t.Error("forwarding was turned off although it was on before")
		}
	})
}

func TestAPoolThatOverlapsAnotherDeviceIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "undo.json")
	inNamespace(t, func() {
		device(t, "adit0")
		device(t, "eth9")
		link, err := netlink.LinkByName("eth9")
		if err != nil {
			t.Error(err)
			return
		}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix("10.83.7.1/24"))}); err != nil {
			t.Error(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Error(err)
		}
		_, err = Apply(file, testPlan())
		if err == nil || !strings.Contains(err.Error(), "eth9") || !strings.Contains(err.Error(), "network.pool") {
			t.Errorf("got %v; want the device and the key named", err)
		}
		wantClean(t, file)
	})
}
