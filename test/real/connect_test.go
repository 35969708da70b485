//go:build real

package real

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// A Linux client on the open network connects, and 100 MB arrive intact each
// way.
func TestClientConnectsDirectly(t *testing.T) {
	carries(t, nil, lab.Client{})
}

// Without a NAT, nat_traversal = "auto" has the client send ESP as it is.
func TestClientConnectsWithoutUDP(t *testing.T) {
	carries(t, lab.Config{"ipsec": `nat_traversal = "auto"`}, lab.Client{}, func(t *testing.T, g *lab.Guest) {
		if state := g.Exec(t, "ip xfrm state"); contains(state, "encap") {
			t.Errorf("the guest has ESP in UDP: %s", state)
		}
	})
}

// Behind one it finds the NAT, as ever.
func TestClientConnectsThroughNATWithoutForcedUDP(t *testing.T) {
	carries(t, lab.Config{"ipsec": `nat_traversal = "auto"`}, lab.Client{NAT: true})
}

// So does one behind a NAT.
func TestClientConnectsThroughNAT(t *testing.T) {
	from := carries(t, nil, lab.Client{NAT: true})
	if from.Addr() != netip.MustParseAddr(lab.NATIP) {
		t.Errorf("the server sees the client at %v, want the NAT box's %s", from, lab.NATIP)
	}
}

// So does libreswan.
func TestLibreswanConnectsThroughNAT(t *testing.T) {
	carries(t, nil, lab.Client{Kind: "libreswan", NAT: true})
}

// carries connects a client, looks at the guest, and moves data both ways. It
// returns where the server sees the client.
func carries(t *testing.T, conf lab.Config, c lab.Client, look ...func(*testing.T, *lab.Guest)) netip.AddrPort {
	t.Helper()
	s := here.Serve(t, conf)
	d := newDepot(t, blobSize)
	c.Args = append(c.Args, "--share", d.file)
	g := here.Connect(t, c)
	t.Logf("power-on to ping: %.1f s", g.Took.Seconds())
	x := s.Session(t)
	t.Logf("%s: IKE %s, ESP %s, %s", x.Client, x.IKE, x.ESP, x.Method)
	for _, f := range look {
		f(t, g)
	}
	d.fetches(t, g)
	d.sends(t, g)
	if now := s.Session(t); now.InOctets < blobSize || now.OutOctets < blobSize {
		t.Errorf("the session counts %d octets in and %d out, want %d at least: the data did not go through the tunnel", now.InOctets, now.OutOctets, blobSize)
	}
	g.HangUp(t)
	if !lab.Wait(patience, func() bool { return len(s.Status(t).Sessions) == 0 }) {
		t.Error("the session is still there after the client said goodbye")
	}
	s.Stop(t)
	return netip.MustParseAddrPort(x.Remote)
}

// Two clients behind one NAT, both with L2TP's port 1701 inside, are connected
// at the same time and move data at the same time.
func TestTwoClientsBehindOneNAT(t *testing.T) {
	s := here.Serve(t, nil)
	d := newDepot(t, blobSize)
	share := []string{"--share", d.file}
	a := here.Dial(t, lab.Client{ID: 1, NAT: true, Args: share})
	b := here.Dial(t, lab.Client{ID: 2, NAT: true, Args: share})
	a.Up(t)
	b.Up(t)
	st := s.Status(t)
	if len(st.Sessions) != 2 {
		t.Fatalf("adit status shows %d sessions, want 2", len(st.Sessions))
	}
	one, two := netip.MustParseAddrPort(st.Sessions[0].Remote), netip.MustParseAddrPort(st.Sessions[1].Remote)
	if one.Addr() != two.Addr() || one.Port() == two.Port() {
		t.Errorf("the server sees %v and %v, want one address and two ports", one, two)
	}
	if st.Sessions[0].Address == st.Sessions[1].Address {
		t.Errorf("both have %s inside", st.Sessions[0].Address)
	}
	for _, g := range []*lab.Guest{a, b} {
		for _, want := range []string{"sport 1701", "dport 1701"} {
			if policy := g.Exec(t, "ip xfrm policy"); !contains(policy, want) {
				t.Errorf("the guest's policy has no %q: %s", want, policy)
			}
		}
	}
	both(a, b, func(g *lab.Guest) { d.fetches(t, g) })
	both(a, b, func(g *lab.Guest) { d.sends(t, g) })
	s.Stop(t)
}

// both does f for two guests at the same time.
func both(a, b *lab.Guest, f func(*lab.Guest)) {
	var wg sync.WaitGroup
	wg.Go(func() { f(a) })
	wg.Go(func() { f(b) })
	wg.Wait()
}
