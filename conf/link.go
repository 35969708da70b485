package conf

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/secret"
)

// Link is one [[link]]: another router, to which networks lead. Whichever end dials, it is
// the same link.
type Link struct {
	Name   string `toml:"name" reload:"live" doc:"name of the link, at most 10 bytes: its device is \"adit-\" and this"`
	Remote []Host `toml:"remote" reload:"live" doc:"names or addresses that are dialled, in order; empty, where dial is \"never\""`

	PSK         secret.Bytes `toml:"psk" reload:"live" doc:"pre-shared key of this link alone; without it, the first of ipsec.psk"`
	PSKFile     string       `toml:"psk_file" reload:"live" doc:"file that holds the link's pre-shared key"`
	Certificate bool         `toml:"certificate" reload:"live" doc:"dial with ipsec.certificate in place of a pre-shared key"`
	PeerID      string       `toml:"peer_id" reload:"live" doc:"name that the other end's certificate must have; empty: the remote that is dialled"`

	User             string       `toml:"user" reload:"live" doc:"name that is shown to the other end when this end dials"`
	Password         secret.Bytes `toml:"password" reload:"live" doc:"password of user"`
	PasswordFile     string       `toml:"password_file" reload:"live" doc:"file that holds the password of user"`
	PeerUser         string       `toml:"peer_user" reload:"live" doc:"name that the other end shows when it dials: a caller with this name is the link"`
	PeerPassword     secret.Bytes `toml:"peer_password" reload:"live" doc:"password of peer_user"`
	PeerPasswordFile string       `toml:"peer_password_file" reload:"live" doc:"file that holds the password of peer_user"`
	PeerAuth         LinkPeerAuth `toml:"peer_auth" reload:"live" doc:"whether the other end has to authenticate itself by peer_user and peer_password, too, when this end dials: ask, if it agrees to, which is the default; required, or the link does not come up; no, it is not asked"`

	Dial        LinkDial      `toml:"dial" reload:"live" doc:"when this end dials: always, which is the default; demand, when a packet wants to go there; never, it waits for the other end"`
	IdleTimeout time.Duration `toml:"idle_timeout" reload:"live" doc:"how long nothing passes before a link is hung up; 0: 5m where dial is \"demand\", else never"`
	Hours       []limit.Hours `toml:"hours" reload:"live" doc:"when the link may be up, in the host's local time, as in \"Mo-Fr 07:00-19:00\"; empty: always"`
	DeadPeer    time.Duration `toml:"dead_peer_timeout" reload:"live" doc:"a peer that has fallen silent is gone after this long, 4s to 1h; it is asked four times within it; 0: 4s"`

	Routes      []netip.Prefix `toml:"routes" reload:"live" doc:"networks behind the other end"`
	WhenDown    WhenDown       `toml:"when_down" reload:"live" doc:"what becomes of packets for routes while the link is down. hold: they wait for the link, some packets, and are dropped beyond, which is the default where dial is \"demand\"; blackhole: they are dropped, which is the default elsewhere; withdraw: another route of the host takes them, perhaps in the clear"`
	Metric      int            `toml:"metric" reload:"live" doc:"metric of routes; the least wins where several links lead to one network"`
	SourceCheck bool           `toml:"source_check" reload:"live" doc:"accept from the other end only packets whose source is in routes, or its own address"`

	Address     LinkAddress `toml:"address" reload:"live" doc:"this end's address on the link: an IPv4 address, or \"peer\" for one that the other end gives; empty: none, the link is unnumbered"`
	PeerAddress netip.Addr  `toml:"peer_address" ip:"IPv4" reload:"live" doc:"the other end's address on the link: given to it when it calls, and the only one that is accepted from it"`
	IPv6        bool        `toml:"ipv6" reload:"live" doc:"IPv6 over the link, with link-local addresses"`
}

// Device is the name of the link's network device.
func (l *Link) Device() string { return "adit-" + l.Name }

// maxLinkName is what the longest name of a network device leaves.
const maxLinkName = 10

// Defaults of keys whose zero value says that nothing was said.
const (
	linkIdle     = 5 * time.Minute // of a link that is dialled on demand
	linkDeadPeer = 4 * time.Second // so that a link is back some seconds after its path
)

// LinkDial is when a link is dialled.
type LinkDial string

// The values of link.dial.
const (
	DialAlways LinkDial = "always"
	DialDemand LinkDial = "demand"
	DialNever  LinkDial = "never"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *LinkDial) UnmarshalText(text []byte) error {
	return oneOf(w, "link.dial", text, DialAlways, DialDemand, DialNever)
}

// LinkPeerAuth is whether the end that is dialled has to authenticate itself.
type LinkPeerAuth string

// The values of link.peer_auth.
const (
	PeerAuthAsk      LinkPeerAuth = "ask"
	PeerAuthRequired LinkPeerAuth = "required"
	PeerAuthNo       LinkPeerAuth = "no"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *LinkPeerAuth) UnmarshalText(text []byte) error {
	return oneOf(w, "link.peer_auth", text, PeerAuthAsk, PeerAuthRequired, PeerAuthNo)
}

// WhenDown is what becomes of packets for a link that is down.
type WhenDown string

// The values of link.when_down.
const (
	DownHold      WhenDown = "hold"
	DownBlackhole WhenDown = "blackhole"
	DownWithdraw  WhenDown = "withdraw"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *WhenDown) UnmarshalText(text []byte) error {
	return oneOf(w, "link.when_down", text, DownHold, DownBlackhole, DownWithdraw)
}

// LinkAddress is an address on a link, or that the peer gives it; the zero value is none.
type LinkAddress struct {
	Addr     netip.Addr
	FromPeer bool
}

// UnmarshalText reads "10.9.0.1", "peer" or "".
func (a *LinkAddress) UnmarshalText(text []byte) error {
	*a = LinkAddress{}
	switch string(text) {
	case "":
		return nil
	case "peer":
		a.FromPeer = true
		return nil
	}
	read, err := netip.ParseAddr(string(text))
	if err != nil || !read.Is4() {
		return fmt.Errorf(`%q is neither an IPv4 address nor "peer"`, text)
	}
	a.Addr = read
	return nil
}

// String is the text that it is read from.
func (a LinkAddress) String() string {
	switch {
	case a.FromPeer:
		return "peer"
	case a.Addr.IsValid():
		return a.Addr.String()
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler.
func (a LinkAddress) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// readLinkFiles replaces the files that links name by what they hold.
func readLinkFiles(d *decoder, c *Config) {
	for i := range c.Links {
		l, key := &c.Links[i], fmt.Sprintf("link[%d].", i)
		readSecretFile(d, key+"psk_file", l.PSKFile, &l.PSK)
		readSecretFile(d, key+"password_file", l.PasswordFile, &l.Password)
		readSecretFile(d, key+"peer_password_file", l.PeerPasswordFile, &l.PeerPassword)
	}
}

// completeLinks puts in what links leave unsaid.
func completeLinks(c *Config) {
	for i := range c.Links {
		l := &c.Links[i]
		if l.Dial == "" {
			l.Dial = DialAlways
		}
		demand := l.Dial == DialDemand
		switch {
		case l.WhenDown != "":
		case demand:
			l.WhenDown = DownHold
		default:
			l.WhenDown = DownBlackhole
		}
		if l.IdleTimeout == 0 && demand {
			l.IdleTimeout = linkIdle
		}
		if l.DeadPeer == 0 {
			l.DeadPeer = linkDeadPeer
		}
	}
}
