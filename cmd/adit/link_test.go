package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/admin"
)

// linked is a server with links.
type linked struct {
	admin.Controlled
	links []admin.Link
	order *admin.LinkOrder
}

func (l linked) Links() []admin.Link { return l.links }
func (l linked) OrderLink(o admin.LinkOrder) error {
	*l.order = o
	return nil
}

func TestLinksAreListedOrderedAndExplained(t *testing.T) {
	socket, order := filepath.Join(t.TempDir(), "adit.sock"), new(admin.LinkOrder)
	next, fell := time.Now().Add(3*time.Second), time.Now().Add(-time.Minute)
	s, err := admin.Listen(socket, linked{order: order, links: []admin.Link{
		{Name: "branch", Device: "adit-branch", State: "up", Since: time.Now().Add(-time.Hour), Dial: "always", DialledBy: "us", PeerAuth: "MS-CHAPv2", Local: "10.9.0.1", Peer: "10.9.0.2", MTU: 1400,
			Routes: []string{"10.2.0.0/16"}, Metric: 7, WhenDown: "blackhole", Admits: true, InOctets: 1000},
		{Name: "other", Device: "adit-other", State: "waiting", Since: fell, Dial: "demand", Remotes: []string{"192.0.2.7"}, Next: &next, Tries: 2, WhenDown: "hold",
			Error: "authentication failed:\x1b[2J no", ErrorAt: &fell},
		{Name: "third", Device: "adit-third", State: "waiting", Since: fell, Dial: "always", Remotes: []string{"192.0.2.8"}, Next: &next, WhenDown: "hold", Admits: true},
		{Name: "held", Device: "adit-held", State: "held down", Since: fell, Dial: "always", Remotes: []string{"192.0.2.8"}, WhenDown: "hold"},
		{Name: "called", Device: "called", State: "up", Since: fell, Dial: "never", DialledBy: "peer", Remotes: []string{"192.0.2.9"}, WhenDown: "hold", Admits: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, tc := range []struct {
		args string
		want []string
	}{
		{"list", []string{"branch  adit-branch  up ", "1h0m0s", "us", "10.9.0.1  10.9.0.2  10.2.0.0/16  1.0 kB", "waiting", "authentication failed:"}},
		{"list --json", []string{`"links"`, `"dialled_by": "us"`}},
		{"explain branch", []string{"branch has been up for 1h0m0s", "This end has dialled it", "The other end has authenticated itself by MS-CHAPv2", "10.9.0.1 here and 10.9.0.2 there", "10.2.0.0/16, by the device adit-branch with metric 7", "packets for them are dropped"}},
		{"explain other", []string{"other has been waiting", "when a packet wants to go there", "192.0.2.7", "after 2 that failed", "A call of the other end is refused now", "The last call ended or failed 1m0s ago: authentication failed"}},
		{"explain held", []string{"It is not dialled until adit link up held, or a restart."}},
		{"up branch", []string{"branch is dialled: adit link explain branch"}},
		{"down other", []string{"other goes down, and stays down until adit link up other"}},
	} {
		code, out, got := typed("", append(strings.Fields("link "+tc.args), "-socket", socket)...)
		if code != exitOK {
			t.Errorf("adit link %s: exit code %d, %s", tc.args, code, got)
		}
		for _, want := range tc.want {
			if !strings.Contains(out, want) {
				t.Errorf("adit link %s says\n%s\nwithout %q", tc.args, out, want)
			}
		}
		if bytes.ContainsRune([]byte(out), 0x1b) {
			t.Errorf("adit link %s prints what a terminal obeys", tc.args)
		}
	}
	for name, never := range map[string]string{"third": "that failed", "held": "is dialled", "called": "What is dialled"} {
		if _, out, _ := typed("", "link", "explain", name, "-socket", socket); !strings.Contains(out, name+" has been") || strings.Contains(out, never) {
			t.Errorf("adit link explain %s says %q:\n%s", name, never, out)
		}
	}
	if *order != (admin.LinkOrder{Name: "other"}) {
		t.Errorf("the order is %+v", *order)
	}
	if code, _, got := typed("", "link", "explain", "none", "-socket", socket); code != exitRuntime || !strings.Contains(got, `no link "none": adit link list shows them`) {
		t.Errorf("exit code %d, %q", code, got)
	}
}
