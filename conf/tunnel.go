package conf

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// Tunnel is one [[tunnel]]: GRE or IP in IP to another router, protected by ESP in
// transport mode, without L2TP.
type Tunnel struct {
	Name   string     `toml:"name" reload:"restart" doc:"name of the tunnel and of its network device, at most 15 bytes"`
	Mode   TunnelMode `toml:"mode" reload:"restart" doc:"what is protected: gre, for IPv4 and IPv6 inside; ipip, for IPv4; sit, for IPv6. remote says whether they are in IPv4 or in IPv6; ip6gre, ipip6 and ip6ip6 are their names in IPv6"`
	Remote Host       `toml:"remote" reload:"restart" doc:"name or address of the other end; empty, where dial is \"never\" and the other end has no fixed address"`

	PSK         secret.Bytes `toml:"psk" reload:"restart" doc:"pre-shared key of this tunnel alone; without it, those of ipsec.psk"`
	PSKFile     string       `toml:"psk_file" reload:"restart" doc:"file that holds the tunnel's pre-shared key"`
	Certificate bool         `toml:"certificate" reload:"restart" doc:"ipsec.certificate in place of a pre-shared key, for both ends"`
	PeerID      string       `toml:"peer_id" reload:"restart" doc:"name that the other end's certificate must have; empty: remote"`

	Dial     LinkDial      `toml:"dial" reload:"restart" doc:"who begins: always, this end, and the other end may, too, which is the default; never, the other end alone"`
	DeadPeer time.Duration `toml:"dead_peer_timeout" reload:"restart" doc:"a peer that has fallen silent is gone after this long, 20s to 1h; dead peer detection asks it when half of that is over; 0: 30s"`

	Key      GREKey `toml:"key" reload:"restart" doc:"key of GRE, a number, or four as in \"10.0.0.1\": packets carry it, and those with another one or none are dropped; without it, those with one are"`
	Checksum bool   `toml:"checksum" reload:"restart" doc:"packets of GRE carry a checksum; it costs time, and ESP protects more than it does"`
	Sequence bool   `toml:"sequence" reload:"restart" doc:"packets of GRE are numbered, and those that come late are dropped"`

	Address      netip.Addr     `toml:"address" ip:"IPv4" reload:"restart" doc:"this end's IPv4 address inside; empty: none"`
	PeerAddress  netip.Addr     `toml:"peer_address" ip:"IPv4" reload:"restart" doc:"the other end's"`
	Address6     netip.Addr     `toml:"address6" ip:"IPv6" reload:"restart" doc:"this end's IPv6 address inside, as fe80::1; empty: none"`
	PeerAddress6 netip.Addr     `toml:"peer_address6" ip:"IPv6" reload:"restart" doc:"the other end's"`
	Routes       []netip.Prefix `toml:"routes" reload:"restart" doc:"networks behind the other end: they lead there while the tunnel is up, and nowhere while it is down"`
	Metric       int            `toml:"metric" reload:"restart" doc:"metric of routes; the least wins where several lead to one network"`
	MTU          int            `toml:"mtu" reload:"restart" doc:"largest packet inside, bytes; 0: what the path and the keys leave, at most 1400"`
	SourceCheck  bool           `toml:"source_check" reload:"restart" doc:"accept from the other end only packets whose source is in routes, or its own address"`

	Clear ClearPolicy `toml:"clear" reload:"restart" doc:"what becomes of packets of the tunnel's protocol that come from the other end, or go there, without ESP. drop: the host's firewall drops them, whether the tunnel is up or not, which is the default; without an address in remote, from and to everybody; allow: they are the host's, as for a tunnel of its kernel's"`
}

// TunnelMode is what a tunnel carries packets in.
type TunnelMode string

// The values of tunnel.mode.
const (
	ModeGRE    TunnelMode = "gre"
	ModeIPIP   TunnelMode = "ipip"
	ModeSIT    TunnelMode = "sit"
	ModeIP6GRE TunnelMode = "ip6gre"
	ModeIPIP6  TunnelMode = "ipip6"
	ModeIP6IP6 TunnelMode = "ip6ip6"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *TunnelMode) UnmarshalText(text []byte) error {
	return oneOf(m, "tunnel.mode", text, ModeGRE, ModeIPIP, ModeSIT, ModeIP6GRE, ModeIPIP6, ModeIP6IP6)
}

// Protocol is the number of a mode's IP protocol.
func (m TunnelMode) Protocol() uint8 {
	switch m {
	case ModeGRE, ModeIP6GRE:
		return 47
	case ModeIPIP, ModeIPIP6:
		return 4
	case ModeSIT, ModeIP6IP6:
		return 41
	}
	return 0
}

// inIPv6 reports whether the mode's name says that it is in IPv6.
func (m TunnelMode) inIPv6() bool { return inIPv4[m] != "" }

// carries reports whether packets of an IP version can be inside.
func (m TunnelMode) carries(six bool) bool {
	switch m.Protocol() {
	case 4:
		return !six
	case 41:
		return six
	}
	return true
}

// ClearPolicy is what becomes of a tunnel's packets without ESP.
type ClearPolicy string

// The values of tunnel.clear.
const (
	ClearDrop  ClearPolicy = "drop"
	ClearAllow ClearPolicy = "allow"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *ClearPolicy) UnmarshalText(text []byte) error {
	return oneOf(p, "tunnel.clear", text, ClearDrop, ClearAllow)
}

// GREKey is a key of GRE (RFC 2890, section 2.1); the zero value is none.
type GREKey struct {
	On    bool
	Value uint32
}

// UnmarshalText reads "42", "10.0.0.1" or "".
func (k *GREKey) UnmarshalText(text []byte) error {
	*k = GREKey{}
	if len(text) == 0 {
		return nil
	}
	if n, err := strconv.ParseUint(string(text), 10, 32); err == nil {
		*k = GREKey{true, uint32(n)}
		return nil
	}
	a, err := netip.ParseAddr(string(text))
	if err != nil || !a.Is4() {
		return fmt.Errorf("%q is no key of GRE: a number from 0 to 4294967295, or four as in 10.0.0.1", text)
	}
	b := a.As4()
	*k = GREKey{true, uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])}
	return nil
}

// String is the text that it is read from.
func (k GREKey) String() string {
	if !k.On {
		return ""
	}
	return strconv.FormatUint(uint64(k.Value), 10)
}

// MarshalText implements encoding.TextMarshaler.
func (k GREKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// tunnelDeadPeer is the default of tunnel.dead_peer_timeout.
const tunnelDeadPeer = 30 * time.Second

// completeTunnels puts in what tunnels leave unsaid.
func completeTunnels(c *Config) {
	for i := range c.Tunnels {
		t := &c.Tunnels[i]
		if t.Dial == "" {
			t.Dial = DialAlways
		}
		if t.Clear == "" {
			t.Clear = ClearDrop
		}
		if t.DeadPeer == 0 {
			t.DeadPeer = tunnelDeadPeer
		}
	}
}

// readTunnelFiles replaces the files that tunnels name by what they hold.
func readTunnelFiles(d *decoder, c *Config) {
	for i := range c.Tunnels {
		readSecretFile(d, fmt.Sprintf("tunnel[%d].psk_file", i), c.Tunnels[i].PSKFile, &c.Tunnels[i].PSK)
	}
}
