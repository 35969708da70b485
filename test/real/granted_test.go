//go:build real

package real

import (
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// What FreeRADIUS grants holds on the host as long as the session does: an address and networks
// behind the client, of no pool, are routed to it, hidden as clients are, and reached by whom
// network.inbound lets in. At the end, after a reload, and after kill -9, nothing of it is left.
func TestWhatFreeRADIUSGrantsHoldsOnTheHost(t *testing.T) {
	const address, behind, other = "172.31.9.8", "172.29.70.5", "172.29.71.5"
	ns, host, _ := makeBranch(t)
	before := lastingNow(t)
	config := lab.RadiusConfig()
	config["network"] = `inbound = ["192.168.60.0/24"]`
	config["user"] = "[[pool]]\nname = \"staff\"\naddresses = [\"10.84.0.0/24\"]\n"
	s := here.Serve(t, config)
	here.StartRadius(t, true, "Framed-IP-Address := "+address,
		`Framed-Route := "172.29.70.0/24 0.0.0.0 1"`, `Framed-Route += "172.29.71.0 255.255.255.0 10.1.1.1 1, nonsense"`)
	serving := lastingNow(t)
	g := here.Connect(t, lab.Client{Args: []string{"--route", "192.168.60.0/24", "--ping", host}})
	holds := func(when string) {
		t.Helper()
		now := lastingNow(t)
		for _, route := range []string{address + " dev adit0", "172.29.70.0/24 dev adit0", "172.29.71.0/24 dev adit0"} {
			if !contains(now.routes, route) {
				t.Errorf("%s: no route %q in\n%s", when, route, now.routes)
			}
		}
		g.Exec(t, "ip addr add "+behind+"/32 dev lo; ip addr add "+other+"/32 dev lo; true")
		for _, a := range []string{address, behind, other} {
			if out, err := shell(ns)("ping -n -c 2 -i 0.2 -W 3 " + a); err != nil {
				t.Errorf("%s: a host that network.inbound lets in does not reach %s: %v\n%s", when, a, err, out)
			}
		}
		// A host that has no way back answers the server alone, which hides the networks.
		lab.Run(t, ns, "ip", "route", "del", "default", "via", "192.168.60.1")
		for _, a := range []string{address, behind, other} {
			g.Exec(t, "ping -n -c 2 -i 0.2 -W 3 -I "+a+" "+host)
		}
		lab.Run(t, ns, "ip", "route", "add", "default", "via", "192.168.60.1")
	}
	holds("connected")
	if lines := s.Lines("user accepted"); !contains(string(s.Log()), "nonsense") {
		t.Errorf("the log does not name what cannot be read: %v", lines)
	}

	s.Change(t, `inbound = ["192.168.60.0/24"]`, `inbound = ["192.168.60.0/24", "192.168.61.0/24"]`)
	s.Reload(t)
	holds("after a reload")

	s.Change(t, `inbound = ["192.168.60.0/24", "192.168.61.0/24"]`, `inbound = ["192.168.60.0/24"]`)
	s.Reload(t)
	s.Kill()
	s.Start(t)
	if now := lastingNow(t); now != serving {
		t.Errorf("after kill -9 and a start the host has\n%+v\nwant\n%+v", now, serving)
	}
	if code := g.Redial(t, "vpn"); code != lab.Connected {
		t.Fatalf("after kill -9 the client ended with %d", code)
	}
	holds("after kill -9")

	g.HangUp(t)
	if !lab.Wait(patience, func() bool { return lastingNow(t) == serving }) {
		t.Errorf("after the session the host has\n%+v\nwant\n%+v", lastingNow(t), serving)
	}
	s.Stop(t)
	if now := lastingNow(t); now != before {
		t.Errorf("at the end the host has\n%+v\nwant\n%+v", now, before)
	}
}

// lastingNow is hostNow without routes of IPv6, of which the kernel adds some when it has looked
// for duplicates of its link-local addresses.
func lastingNow(t *testing.T) host {
	t.Helper()
	h := hostNow(t)
	h.routes = lab.Run(t, here.Server, "ip", "-4", "route", "show", "table", "all")
	return h
}

// A RADIUS server that grants what is the host's, a gateway's, its own, or a link's, keeps the
// user out and says why, and nothing on the host changes.
func TestAHostileRADIUSServerTakesNothingFromTheHost(t *testing.T) {
	makeBranch(t)
	config := lab.RadiusConfig()
	config["user"] = "[[link]]\nname = \"office\"\ndial = \"never\"\npeer_user = \"office\"\npeer_password = \"" + lab.Password + "\"\nroutes = [\"172.28.0.0/16\"]\n"
	s := here.Serve(t, config)
	serving := lastingNow(t)
	for grant, why := range map[string]string{
		"Framed-IP-Address := 192.168.60.1":    "the server's own host",
		"Framed-IP-Address := 172.28.5.5":      "the link",
		`Framed-Route := "192.168.60.0/25"`:    "overlaps 192.168.60.1 of the server's own host",
		`Framed-Route := "172.28.5.0/24"`:      "the link",
		`Framed-Route := "128.0.0.0/1"`:        "wider than",
		`Framed-Route := "10.83.0.0/24"`:       "overlaps network.pool",
		`Framed-Route := "169.254.169.254/32"`: "none that a client can have",
	} {
		radius := here.StartRadius(t, true, grant)
		if _, code := here.Try(t, lab.Client{}); code != lab.NoPPP {
			t.Errorf("%s: the client ended with %d, want %d", grant, code, lab.NoPPP)
		}
		if !contains(string(s.Log()), why) {
			t.Errorf("%s: the log does not say %q", grant, why)
		}
		if now := lastingNow(t); now != serving {
			t.Errorf("%s: the host has\n%+v\nwant\n%+v", grant, now, serving)
		}
		radius.Stop()
	}
	s.Stop(t)
}
