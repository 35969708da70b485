package app

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
)

// An end that has an address of ours is refused, and so is one that gives us another
// address than ours.
func TestTheOtherEndsAddressIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, settingsOf{"dial": `"never"`, "address": `"10.9.0.1"`, "peer_address": `"10.9.0.2"`}, settingsOf{"address": `"peer"`})
		b.own(netip.MustParseAddr("10.9.0.1"))
		time.Sleep(30 * time.Second)
		if l := b.link(); l.State == "up" || a.link().State == "up" ||
			!strings.Contains(l.Error, "has the address 10.9.0.1 inside, which is this host's") || !strings.Contains(l.Error, "or give one of the two ends another network.pool") {
			t.Errorf("%+v", l)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, settingsOf{"dial": `"never"`, "address": `"10.9.0.1"`, "peer_address": `"10.9.0.2"`}, settingsOf{"address": `"10.9.0.3"`})
		time.Sleep(30 * time.Second)
		if l := b.link(); l.State == "up" || a.link().State == "up" || !strings.Contains(l.Error, "gives us the address 10.9.0.2 in place of 10.9.0.3") {
			t.Errorf("%+v", l)
		}
	})
}

// A call by which packets would go where they must not is refused, and what is wrong is
// named: a route that leads to where the other end calls from, or an address inside that is
// the one outside.
func TestACallThatLeadsIntoItselfIsRefused(t *testing.T) {
	for name, x := range map[string]struct {
		head, branch settingsOf
		at           string // who refuses it
		want         string
	}{
		"a route to the caller":           {settingsOf{"dial": `"never"`, "remote": "", "routes": `["198.51.100.0/24"]`}, nil, "head", "the route 198.51.100.0/24 leads the link's own remote, 198.51.100.1, into the link"},
		"the caller is inside what it is": {settingsOf{"dial": `"never"`, "remote": "", "address": `"10.9.0.1"`, "peer_address": `"198.51.100.1"`}, settingsOf{"address": `"peer"`}, "head", "has the address 198.51.100.1 inside, which is where it is reached"},
		"who is dialled is what it is":    {settingsOf{"dial": `"never"`, "address": `"192.0.2.1"`, "peer_address": `"10.9.0.2"`}, settingsOf{"address": `"peer"`}, "branch", "has the address 192.0.2.1 inside, which is where it is reached"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, a, b := sites(t, 1, x.head, x.branch)
				time.Sleep(30 * time.Second)
				refuses := map[string]*site{"head": a, "branch": b}[x.at]
				if l := refuses.link(); l.State == "up" || !strings.Contains(l.Error, x.want) {
					t.Errorf("%+v", l)
				}
			})
		})
	}
}

// An address that the other end gives us, and at which another link is reached, is refused:
// that link's packets would not leave this host.
func TestAGivenAddressThatIsAnotherLinksRemote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := udptest.New(1)
		newSite(t, n.Host(headAddr), settingsOf{"name": `"us"`, "dial": `"never"`, "peer_user": `"us"`, "peer_password": `"p"`, "address": `"10.9.0.1"`, "peer_address": `"192.0.2.9"`}, nil)
		b := newSite(t, n.Host(branchAddr), nil, settingsOf{"link": `[
			{ name = "one", remote = ["` + headAddr + `"], user = "us", password = "p", address = "peer" },
			{ name = "two", remote = ["192.0.2.9"], user = "us", password = "p" }]`})
		time.Sleep(30 * time.Second)
		if l := b.Links()[0]; l.State == "up" || !strings.Contains(l.Error, `gives us the address 192.0.2.9 inside, which is where the link "two" is reached`) {
			t.Errorf("%+v", l)
		}
	})
}

// Two other ends that say that they have one address: the first has it.
func TestTwoOtherEndsWithOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := udptest.New(1)
		server := func(at, name string) {
			newSite(t, n.Host(at), settingsOf{"name": `"us"`, "dial": `"never"`, "peer_user": `"us"`, "peer_password": `"p"`, "address": `"10.9.0.1"`, "peer_address": name}, nil)
		}
		server("192.0.2.1", `"10.9.0.2"`)
		server("192.0.2.2", `"10.9.0.3"`)
		b := newSite(t, n.Host(branchAddr), nil, settingsOf{"link": `[
			{ name = "one", remote = ["192.0.2.1"], user = "us", password = "p", address = "peer" },
			{ name = "two", remote = ["192.0.2.2"], user = "us", password = "p", address = "peer" }]`})
		time.Sleep(30 * time.Second)
		list := b.Links()
		if list[0].State != "up" {
			list[0], list[1] = list[1], list[0]
		}
		if want := `has the address 10.9.0.1 inside, which is that of the other end of the link "` + list[0].Name + `"`; list[0].State != "up" || list[1].State == "up" || !strings.Contains(list[1].Error, want) {
			t.Errorf("%+v\n%+v", list[0], list[1])
		}
	})
}

// Only a caller with the link's password is the link, and an ordinary user is none.
func TestAWrongPasswordIsNoLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, settingsOf{"dial": `"never"`}, settingsOf{"password": `"wrong"`})
		time.Sleep(time.Minute)
		if l := b.link(); l.State == "up" || a.link().State == "up" || !strings.Contains(l.Error, "uthentication") {
			t.Errorf("%+v", l)
		}
		if tries := b.link().Tries; tries < 3 || tries > 10 {
			t.Errorf("%d tries in a minute", tries)
		}
	})
}
