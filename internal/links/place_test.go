package links

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// to is a remote that a name server knows.
func to(addresses ...string) func(context.Context) ([]Target, error) {
	return func(context.Context) (list []Target, err error) {
		for _, a := range addresses {
			list = append(list, Target{Host: "name", Path: ike.Path{Remote: netip.AddrPortFrom(netip.MustParseAddr(a), 500)}})
		}
		return list, nil
	}
}

func routes(networks ...string) (list []netip.Prefix) {
	for _, n := range networks {
		list = append(list, netip.MustParsePrefix(n))
	}
	return list
}

// A link whose remote turns out to be behind itself, or behind a link that is behind this
// one, is not dialled, and the route is named.
func TestALinkIsNotDialledThroughItself(t *testing.T) {
	m := New(Config{Links: []Link{
		{Name: "a", Remote: to("192.0.2.7"), Routes: routes("10.0.0.0/8", "192.0.2.0/24")},
		{Name: "b", Remote: to("198.51.100.7"), Routes: routes("203.0.113.0/24")},
		{Name: "c", Remote: to("203.0.113.7"), Routes: routes("198.51.100.0/24")},
		{Name: "d", Remote: to("203.0.113.8"), Routes: routes("172.16.0.0/12")},
	}})
	for i, want := range []string{"the route 192.0.2.0/24 leads the link's own remote, 192.0.2.7, into the link", "", `is reached through the link "b", whose remote, 198.51.100.7, is reached through this one`, ""} {
		l := m.all()[i]
		l.ctx = t.Context()
		_, err := l.target(0)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !lasting(err)) {
			t.Errorf("%s: %v, want %q", l.cfg.Name, err, want)
		}
	}
}

// Two names may be one host: one link alone is dialled there, until it is dialled elsewhere.
func TestTwoLinksAreNotDialledToOneHost(t *testing.T) {
	m := New(Config{Links: []Link{{Name: "a", Remote: to("192.0.2.7", "192.0.2.9")}, {Name: "b", Remote: to("192.0.2.8", "192.0.2.7")}}})
	a, b := m.all()[0], m.all()[1]
	a.ctx, b.ctx = t.Context(), t.Context()
	for i, x := range []struct {
		l    *one
		call int
		want string
	}{{a, 0, ""}, {b, 0, ""}, {b, 1, `its remote, 192.0.2.7, is that of the link "a", too`}, {a, 1, ""}, {b, 1, ""}, {a, 0, `is that of the link "b", too`}} {
		if _, err := x.l.target(x.call); (err == nil) != (x.want == "") || err != nil && (!strings.Contains(err.Error(), x.want) || !lasting(err)) {
			t.Errorf("%d: %v, want %q", i, err, x.want)
		}
	}
}

// The same is so of a circle of more links, however each is named.
func TestACircleOfLinksIsNotDialled(t *testing.T) {
	m := New(Config{Links: []Link{
		{Name: "a", Remote: to("192.0.2.7"), Routes: routes("198.51.100.0/24")},
		{Name: "b", Remote: to("198.51.100.7"), Routes: routes("203.0.113.0/24")},
		{Name: "c", Remote: to("203.0.113.7"), Routes: routes("10.0.0.0/8")},
		{Name: "d", Remote: to("10.1.1.1"), Routes: routes("192.0.2.0/24")},
	}})
	for i, want := range []string{"", "", "", `through the link "c", whose remote, 203.0.113.7, is reached through the link "b", whose remote, 198.51.100.7, is reached through the link "a", whose remote, 192.0.2.7, is reached through this one`} {
		l := m.all()[i]
		l.ctx = t.Context()
		if _, err := l.target(0); (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !lasting(err)) {
			t.Errorf("%s: %v, want %q", l.cfg.Name, err, want)
		}
	}
}

// What a name server has said is used for as long as it says nothing else.
func TestANameServerThatIsOutOfReachIsNotNeeded(t *testing.T) {
	var err error
	asked := 0
	m := New(Config{Links: []Link{{Name: "a", Remote: func(ctx context.Context) ([]Target, error) {
		asked++
		if err != nil {
			return nil, err
		}
		return to("192.0.2.7", "192.0.2.8")(ctx)
	}}}})
	l := m.all()[0]
	l.ctx = t.Context()
	for n, want := range []string{"192.0.2.7", "192.0.2.8", "192.0.2.7"} {
		if got, err := l.target(n); err != nil || got.Path.Remote.Addr().String() != want {
			t.Errorf("call %d goes to %v: %v", n, got, err)
		}
	}
	if asked != 1 {
		t.Errorf("it was asked %d times", asked)
	}
	l.knownAt = time.Time{}
	err = &net.DNSError{IsTimeout: true}
	if got, err := l.target(0); err != nil || got.Path.Remote.Addr().String() != "192.0.2.7" || asked != 2 {
		t.Errorf("without a name server: %v, %v", got, err)
	}
	err = &net.DNSError{IsNotFound: true}
	if _, got := l.target(0); !errors.Is(got, err) || !lasting(got) {
		t.Errorf("a name that is no more: %v", got)
	}
}
