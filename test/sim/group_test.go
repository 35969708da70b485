package sim

import (
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

const staffPSK = "the pre-shared key of the staff"

// groups is a world with the groups staff and guests; alice is in staff, bob is in
// neither.
func groups(t *testing.T, change func(*vpn.Policy)) *World {
	return New(t, Options{
		Backend: auth.NewLocal([]auth.User{
			{Name: User, Password: secret.String(Password), Group: "staff"},
			{Name: "bob", Password: secret.String("builder")},
		}),
		Policy: func(p *vpn.Policy) {
			p.IKE.PSKs = append(p.IKE.PSKs,
				ike.PSK{Name: "guests", Key: secret.String("the pre-shared key of the guests"), Group: "guests"},
				ike.PSK{Name: "staff", Key: secret.String(staffPSK), Group: "staff"})
			if change != nil {
				change(p)
			}
		},
	})
}

// as makes a client a member of a group, with the group's key.
func as(group, key string, aggressive bool) func(*client.Config) {
	return func(c *client.Config) {
		c.Change = func(p *vpn.Policy) {
			p.IKE.PSKs = []ike.PSK{{Name: "mine", Group: group, Key: secret.String(key)}}
			p.IKE.Aggressive = aggressive
		}
	}
}

// The pre-shared key determines the group whose users may log in.
func TestAKeyAdmitsItsGroupsUsersAlone(t *testing.T) {
	in(t, func(t *testing.T) {
		w := groups(t, nil)
		l := w.Laptop(w.Net.Host("198.51.100.7"), as("", staffPSK, false))
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, w, l, d, 1)
		d.Close()
		if _, err := l.ConnectAs(ServerAddr, "bob", "builder"); err == nil {
			t.Error("a user of no group came in with the staff's key")
		}
		done := All[vpn.AuthDone](w.Events)
		last := done[len(done)-1]
		want := `the pre-shared key is of the group "staff", the user of none: set the user's group, or give the client another key`
		if last.Verdict != auth.NotAllowed || last.Detail != want {
			t.Errorf("the refusal is %v: %q, want %q", last.Verdict, last.Detail, want)
		}
		// the key that is bound to no group admits every user
		other := w.Laptop(w.Net.Host("198.51.100.8"), nil)
		for _, who := range [][2]string{{User, Password}, {"bob", "builder"}} {
			d, err := other.ConnectAs(ServerAddr, who[0], who[1])
			if err != nil {
				t.Fatalf("%s: %v", who[0], err)
			}
			d.Close()
		}
	})
}

func TestAggressiveModeWithAGroupName(t *testing.T) {
	in(t, func(t *testing.T) {
		w := groups(t, func(p *vpn.Policy) { p.IKE.Aggressive = true })
		l := w.Laptop(w.Net.NAT("198.51.100.1").Host("10.0.0.2"), as("staff", staffPSK, true))
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, w, l, d, 1)
		if up := All[vpn.PhaseOneUp](w.Events); len(up) != 1 || up[0].Peer.Group != "staff" || up[0].Peer.PSK != "staff" {
			t.Errorf("phase 1: %+v", up)
		}
		mains := w.Laptop(w.Net.Host("198.51.100.7"), nil)
		if d, err = mains.ConnectAs(ServerAddr, "bob", "builder"); err != nil {
			t.Errorf("Main Mode beside it: %v", err)
		} else {
			passes(t, w, mains, d, 2)
		}
		for i, c := range []func(*client.Config){as("stuff", staffPSK, true), as("staff", "not the key of the staff", true)} {
			bad := w.Laptop(w.Net.Host([]string{"198.51.100.20", "198.51.100.21"}[i]), c)
			if _, err := bad.Connect(ServerAddr); err == nil {
				t.Error("a wrong group or key came in")
			}
		}
		unknown := All[vpn.GroupUnknown](w.Events)
		if len(unknown) == 0 || unknown[0].Group != "stuff" || unknown[0].Remote.Addr() != netip.MustParseAddr("198.51.100.20") {
			t.Errorf("unknown groups: %+v", unknown)
		}
	})
}

// Many clients behind one NAT use Aggressive Mode at the same moment: those beyond the
// limit connect a little later.
func TestManyInAggressiveModeAtOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		w := groups(t, func(p *vpn.Policy) { p.IKE.Aggressive = true })
		nat := w.Net.NAT("198.51.100.1")
		const many = 40
		results := make(chan error, many)
		for i := range many {
			h := nat.Host(netip.AddrFrom4([4]byte{10, 0, 0, byte(2 + i)}).String())
			l := w.Laptop(h, func(c *client.Config) {
				as("staff", staffPSK, true)(c)
				c.Suites = []ike.Suite{
					{Cipher: ike.CipherAES, KeyBits: 256, Hash: ike.HashSHA1, Group: ike.GroupECP256},
					{Cipher: ike.CipherAES, KeyBits: 128, Hash: ike.HashSHA1, Group: ike.GroupECP256},
				}
			})
			go func() {
				_, err := l.Connect(ServerAddr)
				results <- err
			}()
		}
		for range many {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

// Apple's clients renew phase 1 every hour, with message 1 on port 4500, and if that
// fails on port 500. The new phase 1 joins the client's connection, and nothing else
// changes.
func TestANewPhase1OnEitherPortJoinsItsConnection(t *testing.T) {
	for name, setup := range map[string]func(*vpn.Policy) func(*client.Config){
		"Main Mode": func(*vpn.Policy) func(*client.Config) { return nil },
		"Aggressive Mode": func(p *vpn.Policy) func(*client.Config) {
			p.IKE.Aggressive = true
			return as("staff", staffPSK, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) { renews(t, setup) })
		})
	}
}

// rephases renews a client's phase 1 on a port, and fails the test unless it is the nth
// phase 1 and joins a connection. It returns the first and the last.
func rephases(t *testing.T, w *World, l *Laptop, d *client.Dialled, n int, port uint16) (first, last vpn.PhaseOneUp) {
	t.Helper()
	d.RephaseOn(ike.Path{
		Local:  netip.AddrPortFrom(l.Host.Addr(), port),
		Remote: netip.AddrPortFrom(netip.MustParseAddr(ServerAddr), port),
		Marker: port == client.NATTPort,
	})
	time.Sleep(5 * time.Second)
	up := All[vpn.PhaseOneUp](w.Events)
	if len(up) != n || !up[n-1].Adopted {
		t.Fatalf("on port %d: phases 1 are %+v, want the last to join the first", port, up)
	}
	return up[0], up[n-1]
}

func renews(t *testing.T, setup func(*vpn.Policy) func(*client.Config)) {
	var change func(*client.Config)
	w := groups(t, func(p *vpn.Policy) { change = setup(p) })
	l := w.Laptop(w.Net.NAT("198.51.100.1").Host("10.0.0.2"), change)
	d, err := l.Connect(ServerAddr)
	if err != nil {
		t.Fatal(err)
	}
	passes(t, w, l, d, 1)
	for i, port := range []uint16{client.NATTPort, client.IKEPort} {
		if first, last := rephases(t, w, l, d, i+2, port); last.Conn != first.Conn {
			t.Fatalf("on port %d: phase 1 is %+v, want that it joins %+v", port, last, first)
		}
		passes(t, w, l, d, uint32(10+i))
		d.Rekey(ike.ChildRequest{LocalPort: 1701})
		time.Sleep(5 * time.Second)
		passes(t, w, l, d, uint32(20+i))
	}
	if n := len(All[vpn.ChildUp](w.Events)); n != 3 {
		t.Errorf("%d pairs came up, want the first and two under the new phases 1", n)
	}
	if n := len(w.Server.List()); n != 1 {
		t.Errorf("%d connections, want one", n)
	}
}
