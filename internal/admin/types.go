package admin

import "time"

// Session is one user's session, as JSON shows it.
type Session struct {
	Connection  uint64    `json:"connection"`
	ID          string    `json:"id"` // Acct-Session-Id
	User        string    `json:"user"`
	Address     string    `json:"address"` // inside the tunnel
	IPv6        []string  `json:"ipv6,omitempty"`
	Remote      string    `json:"remote"` // endpoint outside
	Client      string    `json:"client"`
	HostName    string    `json:"host_name,omitempty"`   // from the peer
	PSK         string    `json:"psk,omitempty"`         // name of the pre-shared key
	Cert        string    `json:"certificate,omitempty"` // name in the certificate: from the peer
	Group       string    `json:"group,omitempty"`       // that the key or the certificate is bound to
	UserGroup   string    `json:"user_group,omitempty"`  // whose limits the user has
	Upload      uint64    `json:"upload,omitempty"`      // the most from the client, bit/s; 0: no limit
	Download    uint64    `json:"download,omitempty"`    // the most to it
	IKE         string    `json:"ike"`
	ESP         string    `json:"esp"`
	Method      string    `json:"auth_method"`
	Compression string    `json:"compression,omitempty"` // of PPP
	Since       time.Time `json:"since"`
	InOctets    uint64    `json:"in_octets"`
	OutOctets   uint64    `json:"out_octets"`
	InPackets   uint64    `json:"in_packets"`
	OutPackets  uint64    `json:"out_packets"`
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
	Leases      int               `json:"leases"` // IPv4 addresses leased
	Drops       map[string]uint64 `json:"drops"`  // packets, by reason
	Warnings    []string          `json:"warnings,omitempty"`
	Radius      []RadiusServer    `json:"radius,omitempty"`     // if users come from there
	Accounting  *Accounting       `json:"accounting,omitempty"` // if a server is configured for it
}

// RadiusServer is a service of a RADIUS server, as JSON shows it.
type RadiusServer struct {
	Server  string     `json:"server"`
	Service string     `json:"service"` // authentication, accounting, or both
	TLS     bool       `json:"tls"`
	State   string     `json:"state"`
	Since   *time.Time `json:"since,omitempty"` // of the state
	Heard   *time.Time `json:"heard,omitempty"` // when it last answered
	Waiting int        `json:"waiting"`         // requests that wait for it
	Error   string     `json:"error,omitempty"` // why it is down
}

// Accounting is how the queue of accounting records stands.
type Accounting struct {
	Waiting  int               `json:"waiting"`          // records that no server has taken
	SetAside int               `json:"set_aside"`        // of these, what servers that live have not taken
	Oldest   *time.Time        `json:"oldest,omitempty"` // since when the oldest waits
	OnDisk   bool              `json:"on_disk"`          // they outlive the server
	Lost     map[string]uint64 `json:"lost,omitempty"`   // records, by reason
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
	Live     []string `json:"live,omitempty"`     // keys that changed and apply now
	New      []string `json:"new,omitempty"`      // and those that apply to new connections
	Restart  []string `json:"restart,omitempty"`  // and those that wait for the next start
	Failed   []string `json:"failed,omitempty"`   // what could not be done for those that apply now
	Warnings []string `json:"warnings,omitempty"` // what there was no reason to warn of before
}

// Link is one link to another router, as JSON shows it.
type Link struct {
	Name       string     `json:"name"`
	Device     string     `json:"device"`
	State      string     `json:"state"`
	Since      time.Time  `json:"since"` // when it came up or went down
	Dial       string     `json:"dial"`
	Remotes    []string   `json:"remotes,omitempty"`
	DialledBy  string     `json:"dialled_by,omitempty"` // while it is up: us or peer
	PeerAuth   string     `json:"peer_auth,omitempty"`  // while it is up: by which method the other end has authenticated itself, or none
	Local      string     `json:"local,omitempty"`      // inside, while it is up
	Peer       string     `json:"peer,omitempty"`
	Local6     string     `json:"local6,omitempty"`
	Peer6      string     `json:"peer6,omitempty"`
	MTU        int        `json:"mtu,omitempty"`
	Routes     []string   `json:"routes,omitempty"`
	Metric     int        `json:"metric"`
	WhenDown   string     `json:"when_down"`
	Admits     bool       `json:"admits"` // a call of the other end may come up now
	Tries      int        `json:"tries"`  // that have failed since it was up
	Next       *time.Time `json:"next,omitempty"`
	Error      string     `json:"error,omitempty"` // why the last call failed or ended
	ErrorAt    *time.Time `json:"error_at,omitempty"`
	InOctets   uint64     `json:"in_octets"`
	OutOctets  uint64     `json:"out_octets"`
	InPackets  uint64     `json:"in_packets"`
	OutPackets uint64     `json:"out_packets"`
}

// Links is the answer to a question for the links.
type Links struct {
	Links []Link `json:"links"`
}

// LinkOrder has one link come up, or go down and stay down.
type LinkOrder struct {
	Name string `json:"name"`
	Up   bool   `json:"up"`
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
	Links() []Link
	OrderLink(LinkOrder) error
}
