package admin

import "time"

// Session is one user's session, as JSON shows it.
type Session struct {
	Connection uint64    `json:"connection"`
	ID         string    `json:"id"` // Acct-Session-Id
	User       string    `json:"user"`
	Address    string    `json:"address"` // inside the tunnel
	IPv6       []string  `json:"ipv6,omitempty"`
	Remote     string    `json:"remote"` // endpoint outside
	Client     string    `json:"client"`
	HostName   string    `json:"host_name,omitempty"`   // from the peer
	PSK        string    `json:"psk,omitempty"`         // name of the pre-shared key
	Cert       string    `json:"certificate,omitempty"` // name in the certificate: from the peer
	Group      string    `json:"group,omitempty"`       // that the key or the certificate is bound to
	IKE        string    `json:"ike"`
	ESP        string    `json:"esp"`
	Method     string    `json:"auth_method"`
	Since      time.Time `json:"since"`
	InOctets   uint64    `json:"in_octets"`
	OutOctets  uint64    `json:"out_octets"`
	InPackets  uint64    `json:"in_packets"`
	OutPackets uint64    `json:"out_packets"`
}

// Status is the state of a server.
type Status struct {
	Version     string            `json:"version"`
	Since       time.Time         `json:"since"`
	Kernels     string            `json:"kernels"` // what packets are encrypted with
	Sessions    []Session         `json:"sessions"`
	Connections int               `json:"connections"` // authenticated by pre-shared key or certificate
	Strangers   int               `json:"unauthenticated"`
	HalfOpen    int               `json:"half_open"`
	Leases      int               `json:"leases"` // addresses leased or reserved
	Drops       map[string]uint64 `json:"drops"`  // packets, by reason
	Warnings    []string          `json:"warnings,omitempty"`
}

// Selector says which sessions to disconnect: those that match every field
// that is set. An empty one matches none.
type Selector struct {
	User       string `json:"user,omitempty"`
	Address    string `json:"address,omitempty"`
	Connection uint64 `json:"connection,omitempty"`
	All        bool   `json:"all,omitempty"`
}

// Disconnected is the answer to a disconnect.
type Disconnected struct {
	Connections int `json:"connections"`
}

// Reloaded is the answer to a reload.
type Reloaded struct {
	Live    []string `json:"live,omitempty"`    // keys that changed and apply now
	New     []string `json:"new,omitempty"`     // and those that apply to new connections
	Restart []string `json:"restart,omitempty"` // and those that wait for the next start
}

// problem is the JSON of an error.
type problem struct {
	Error string `json:"error"`
}

// Controlled is the running server as the control socket needs it.
type Controlled interface {
	Status() Status
	Disconnect(Selector) int
	Reload() (Reloaded, error)
}
