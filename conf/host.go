package conf

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Host is a name or an address that others dial; the zero value is none.
type Host struct {
	Name string     // "" for an address
	Addr netip.Addr // invalid for a name
}

// UnmarshalText reads "vpn.example.com", "192.0.2.1" or "2001:db8::1".
func (h *Host) UnmarshalText(text []byte) error {
	read := hostOf(string(text))
	for _, r := range read.Name {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`/:@"'<>[](),;?#%`, r) {
			return notHost(text)
		}
	}
	if len(read.Name) > 253 {
		return notHost(text)
	}
	*h = read
	return nil
}

func notHost(text []byte) error {
	return fmt.Errorf(`%q is not a name such as "vpn.example.com" or an IP address, without a port`, text)
}

func hostOf(text string) Host {
	if a, err := netip.ParseAddr(text); err == nil {
		return Host{Addr: a}
	}
	return Host{Name: text}
}

// IsValid reports whether there is a host.
func (h Host) IsValid() bool { return h != Host{} }

// String is the text that the host is read from.
func (h Host) String() string {
	if h.Addr.IsValid() {
		return h.Addr.String()
	}
	return h.Name
}

// MarshalText implements encoding.TextMarshaler.
func (h Host) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// HostPort is where something is dialled, or where it listens; the zero value is
// nowhere.
type HostPort struct {
	Host Host   // none: every address
	Port string // a number, or a service's name
}

// UnmarshalText reads "192.0.2.1:1812", "[2001:db8::1]:1812", "radius.example.com:1812"
// or ":9701".
func (h *HostPort) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*h = HostPort{}
		return nil
	}
	host, port, err := net.SplitHostPort(string(text))
	if err != nil || port == "" {
		return fmt.Errorf("%q is not host:port", text)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q has no valid port", text)
	}
	*h = HostPort{hostOf(host), port}
	return nil
}

// IsValid reports whether there is a port.
func (h HostPort) IsValid() bool { return h.Port != "" }

// String is the text that it is read from.
func (h HostPort) String() string {
	if !h.IsValid() {
		return ""
	}
	return net.JoinHostPort(h.Host.String(), h.Port)
}

// MarshalText implements encoding.TextMarshaler.
func (h HostPort) MarshalText() ([]byte, error) { return []byte(h.String()), nil }
