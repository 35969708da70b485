package app

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/conf"
)

func TestCheckSaysWhatIsWrongWithLinks(t *testing.T) {
	list := checked(t, 0o600, `[[link]]
name = "a"
remote = ["192.0.2.7"]
user = "u"
password = "p"
peer_address = "127.0.0.1"
routes = ["10.2.0.0/16", "127.0.0.0/8", "127.9.0.0/16"]
`)
	if mark, text := says(list, "link a leads to networks"); mark != "FAIL" || !strings.Contains(text, "peer_address 127.0.0.1 is this host's, on lo") || !strings.Contains(text, "the route 127.0.0.0/8 is the network of lo") {
		t.Errorf("%s %s", mark, text)
	}
	if mark, text := says(list, "link a: the route 127.9.0.0/16"); mark != "warn" || !strings.Contains(text, "a part of 127.0.0.0/8, the network of lo") {
		t.Errorf("%s %s", mark, text)
	}
	if mark, text := says(list, "link a: its remote 192.0.2.7"); mark != "ok" {
		t.Errorf("%s %s", mark, text)
	}
	l := &conf.Link{Routes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}
	err := checkRemote(l, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.7")})
	if err == nil || !strings.Contains(err.Error(), "the route 198.51.100.0/24 leads the link's own remote, 198.51.100.7") {
		t.Errorf("a name that leads into the link: %v", err)
	}
}

// A link whose name is asked for through itself is named, and one that is dialled by its
// address is not.
func TestALinkBehindWhichTheNameServerIs(t *testing.T) {
	servers := []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("10.2.0.53")}
	l := &conf.Link{Remote: []conf.Host{{Name: "head.example.com"}}, Routes: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}}
	if err := checkNameServers(l, servers); err == nil || !strings.Contains(err.Error(), "the route 10.2.0.0/16 leads the host's name server, 10.2.0.53, into the link") {
		t.Error(err)
	}
	if err := checkNameServers(l, servers[:1]); err != nil {
		t.Error(err)
	}
	l.Remote = []conf.Host{{Addr: netip.MustParseAddr("198.51.100.7")}}
	if err := checkNameServers(l, servers); err != nil {
		t.Error(err)
	}
}

// A tunnel whose device would have the name of one of the host's is named, by check and by serve.
func TestATunnelWithTheNameOfADevice(t *testing.T) {
	list := checked(t, 0o600, `[[tunnel]]
name = "lo"
mode = "gre"
remote = "192.0.2.7"
psk = "a key of the tunnel's own, long"
`)
	if mark, text := says(list, "no device of this host has the name"); mark != "FAIL" || !strings.Contains(text, `tunnel[0].name: this host already has a device named "lo"`) {
		t.Errorf("%s %s", mark, text)
	}
}
