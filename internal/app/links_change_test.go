package app

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/internal/udp/udptest"
)

// The links of a server that a test changes.
const (
	toBranch = `{ name = "branch", dial = "never", peer_user = "branch", peer_password = "two", routes = ["10.2.0.0/16"] }`
	toDepot  = `{ name = "depot", dial = "never", peer_user = "depot", peer_password = "three", routes = ["10.3.0.0/16"]%s }`
)

// hub is a server with one link, to a site that calls, and a second site whose calls have
// no link yet.
func hub(t *testing.T) (a, b, c *site) {
	t.Helper()
	n := udptest.New(1)
	n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
	calls := func(at, user, password, behind string) *site {
		return newSite(t, n.Host(at), settingsOf{"name": `"head"`, "remote": `["` + headAddr + `"]`, "user": user, "password": password, "routes": behind}, nil)
	}
	a = newSite(t, n.Host(headAddr), nil, settingsOf{"link": "[" + toBranch + "]"})
	return a, calls(branchAddr, `"branch"`, `"two"`, `["10.1.0.0/16"]`), calls("203.0.113.1", `"depot"`, `"three"`, `["10.1.0.0/16"]`)
}

// reloads has the site's server read these links.
func (s *site) reloads(links ...string) (live, failed []string) {
	s.t.Helper()
	changes := settingsOf{"link": "[" + strings.Join(links, ", ") + "]"}
	if len(links) == 0 { // somebody has to be served
		changes["user"] = `[{ name = "alice", password = "p" }]`
	}
	s.h.write(changes)
	r, err := s.Reload()
	if err != nil || len(r.Restart) > 0 {
		s.t.Errorf("%+v, %v", r, err)
	}
	return r.Live, r.Failed
}

// states are the hub's links by name and state.
func (s *site) states() (list []string) {
	for _, l := range s.Links() {
		list = append(list, l.Name+" "+l.State)
	}
	return list
}

// A reload adds, changes and takes away links. The one that stays as it is stays up, and
// carries packets all the time.
func TestLinksComeAndGoWhileAnotherStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := hub(t)
		time.Sleep(5 * time.Second)
		since, n := a.link().Since, uint32(100)
		check := func(when string, want ...string) {
			t.Helper()
			passes(t, a, b, n)
			n += 2
			time.Sleep(20 * time.Second)
			passes(t, a, b, n)
			n += 2
			if got := a.states(); !slices.Equal(got, want) {
				t.Errorf("%s, the links are %v, want %v", when, got, want)
			}
			if l := a.link(); l.Since != since {
				t.Errorf("%s, the link that stays was down: %+v", when, l)
			}
		}
		check("at first", "branch up")
		if live, _ := a.reloads(toBranch, fmt.Sprintf(toDepot, "")); !slices.Equal(live, []string{"link"}) {
			t.Errorf("applied: %v", live)
		}
		time.Sleep(time.Minute) // the depot's calls were refused, and come less often
		check("with one more", "branch up", "depot up")
		up := c.link().Since
		a.reloads(toBranch, fmt.Sprintf(toDepot, `, address = "10.9.0.1", peer_address = "10.9.0.2"`))
		if got := a.kept[netip.MustParsePrefix("10.3.0.0/16")]; got != 1 {
			t.Errorf("the changed link's network is kept %d times", got)
		}
		check("with one changed", "branch up", "depot up")
		if l := c.link(); l.Since.Equal(up) {
			t.Errorf("the link that was changed was not made anew: %+v", l)
		}
		if l := a.Links()[1]; l.Local != "10.9.0.1" {
			t.Errorf("it has not changed: %+v", l)
		}
		a.reloads(toBranch)
		check("with one less", "branch up")
		if l := c.link(); l.State == "up" || !strings.Contains(a.out.String(), "taken from the configuration") {
			t.Errorf("the link that is no more: %+v", l)
		}
		if got := a.kept[netip.MustParsePrefix("10.3.0.0/16")]; got != 0 {
			t.Errorf("its network is still kept: %d", got)
		}
		if live, _ := a.reloads(toBranch); len(live) > 0 {
			t.Errorf("nothing has changed, and this applies: %v", live)
		}
		check("at the end", "branch up")
	})
}

// A link that is dialled is, after a change, dialled as it says now; one that is taken away
// no more.
func TestADialledLinkIsChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, settingsOf{"dial": `"never"`}, settingsOf{"password": `"wrong"`})
		time.Sleep(10 * time.Second)
		if b.link().State == "up" {
			t.Fatal("it is up by a wrong password")
		}
		mended := `{ name = "head", remote = ["` + headAddr + `"], user = "branch", password = "two", routes = ["10.1.0.0/16"] }`
		b.reloads(mended)
		if text := b.out.String(); strings.Contains(text, `"link could not be dialled","reason":"it was changed`) || !strings.Contains(text, `"link down","reason":"it was changed`) {
			t.Errorf("a change by configuration is said to be a failure, or not at all:\n%s", text)
		}
		time.Sleep(5 * time.Second)
		wantOne(t, a, b)
		passes(t, a, b, 100)
		if err := b.OrderLink(admin.LinkOrder{Name: "head"}); err != nil {
			t.Fatal(err)
		}
		b.reloads(strings.Replace(mended, "routes", "metric = 7, routes", 1))
		time.Sleep(20 * time.Second)
		if l := b.link(); l.State != "held down" || l.Metric != 7 {
			t.Errorf("an administrator has held it down, and it is %+v", l)
		}
		b.reloads()
		time.Sleep(5 * time.Second)
		if list := b.Links(); len(list) > 0 || a.link().State != "idle" || a.sessions() != 0 {
			t.Errorf("%+v\n%+v", list, a.link())
		}
		b.reloads(mended)
		time.Sleep(5 * time.Second)
		wantOne(t, a, b)
		passes(t, a, b, 200)
	})
}

// A link whose device cannot be made is named, and the others are not touched. The next
// reload tries again.
func TestALinkThatCannotBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := hub(t)
		time.Sleep(5 * time.Second)
		since := a.link().Since
		a.fails = true
		if _, failed := a.reloads(toBranch, fmt.Sprintf(toDepot, "")); len(failed) != 1 || !strings.Contains(failed[0], `link "depot": the host makes no more devices`) {
			t.Errorf("failed: %v", failed)
		}
		if got := a.kept[netip.MustParsePrefix("10.3.0.0/16")]; got != 0 {
			t.Errorf("its network is kept: %d", got)
		}
		passes(t, a, b, 100)
		a.fails = false
		if _, failed := a.reloads(toBranch, fmt.Sprintf(toDepot, "")); len(failed) > 0 {
			t.Errorf("failed: %v", failed)
		}
		time.Sleep(2 * time.Minute)
		if got := a.states(); !slices.Equal(got, []string{"branch up", "depot up"}) || a.link().Since != since {
			t.Errorf("%v", got)
		}
	})
}
