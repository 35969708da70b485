package conf

import (
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// Config is everything an administrator can say. Load returns one that is
// valid; it is not changed afterwards.
//
// The tag reload says what a change needs: "live" applies to connections that
// are up, "new" to new ones, "restart" to the next start.
type Config struct {
	Server  Server  `toml:"server"`
	IPsec   IPsec   `toml:"ipsec"`
	L2TP    L2TP    `toml:"l2tp"`
	Network Network `toml:"network"`
	Auth    Auth    `toml:"auth"`
	Users   []User  `toml:"user" reload:"live"`
	Groups  []Group `toml:"group" reload:"new"`
	Radius  Radius  `toml:"radius"`
	Limits  Limits  `toml:"limits"`
	Log     Log     `toml:"log"`
	Admin   Admin   `toml:"admin"`

	// File is where it was read from, "" if it came from the environment alone.
	File string `toml:"-"`

	// Notes are what was read and means nothing here.
	Notes []string `toml:"-"`

	// secretsIn are the files that secrets stand in beside other things.
	secretsIn []string `toml:"-"`

	read *decoder `toml:"-"` // knows where each key stands; nil: nothing was read
}

// Server is the table [server].
type Server struct {
	Listen   []string      `toml:"listen" reload:"restart" doc:"addresses on which UDP ports 500 and 4500 are opened"`
	Public   string        `toml:"public" reload:"new" doc:"name or address that clients dial; needed where the server is behind NAT"`
	DeadPeer time.Duration `toml:"dead_peer_timeout" reload:"new" doc:"a client that has fallen silent is gone after this long, 20s to 1h; it is asked five times within it"`
	StateDir string        `toml:"state_dir" reload:"restart" doc:"directory for what must survive a restart"`
}

// IPsec is the table [ipsec].
type IPsec struct {
	PSK          []secret.Bytes `toml:"psk" reload:"new" doc:"pre-shared key, or a list: all are live"`
	PSKFile      string         `toml:"psk_file" reload:"new" doc:"file that holds the pre-shared key, one a line"`
	AllowWeakPSK bool           `toml:"allow_weak_psk" reload:"new" doc:"accept a short or well-known pre-shared key"`
	NATTraversal string         `toml:"nat_traversal" reload:"restart" doc:"always: encapsulate in UDP; auto: only behind NAT, which needs CAP_NET_RAW and a path for IP protocol 50"`
	Aggressive   bool           `toml:"aggressive" reload:"new" doc:"accept Aggressive Mode, which clients with a group name use; a weak pre-shared key can then be guessed by anybody"`
	IKE          []string       `toml:"ike" reload:"new" doc:"suites of phase 1 that are accepted, most wanted first, as in \"aes256-sha1-modp2048\" or \"aes-modp2048\", or \"!3des\", \"!modp1024\" to take away; empty: all"`
	ESP          []string       `toml:"esp" reload:"new" doc:"suites of ESP that are accepted, likewise, as in \"aes256gcm16\" or \"aes-sha1\"; a group is one of perfect forward secrecy, for clients that ask for it"`
	VendorIDs    []string       `toml:"vendor_ids" reload:"new" doc:"vendor IDs to answer where the client offered them: nat-t, dpd, fragmentation, ms, initial-contact"`
	Certificate  string         `toml:"certificate" reload:"new" doc:"PEM file with the server's certificate, then its intermediates; with it clients may use certificates"`
	PrivateKey   string         `toml:"private_key" reload:"new" doc:"PEM file with the certificate's key, readable by its owner alone"`
	CA           []string       `toml:"ca" reload:"live" doc:"PEM files with the CAs whose certificates clients may show"`
	CRL          []string       `toml:"crl" reload:"live" doc:"files with the CAs' revocation lists"`
	CRLStrict    bool           `toml:"crl_strict" reload:"live" doc:"refuse certificates whose CA has no current revocation list here"`
	KeyLog       string         `toml:"key_log" reload:"restart" doc:"directory for session keys that decrypt a capture; for debugging only"`
}

// L2TP is the table [l2tp].
type L2TP struct {
	Secret        secret.Bytes `toml:"secret" reload:"new" doc:"tunnel secret: answers clients that ask for one, as routers may, and opens what they hide with it"`
	SecretFile    string       `toml:"secret_file" reload:"new" doc:"file that holds the tunnel secret"`
	RequireSecret bool         `toml:"require_secret" reload:"new" doc:"refuse clients that do not prove the tunnel secret, as the clients that systems have built in cannot"`
}

// Network is the table [network].
type Network struct {
	Mode       string   `toml:"mode" reload:"restart" doc:"tun: a routed network; tap: addresses of an office LAN"`
	Device     string   `toml:"device" reload:"restart" doc:"name of the network device"`
	Pool       []string `toml:"pool" reload:"restart" doc:"networks or ranges that clients get addresses of; the server has each network's first"`
	DNS        []string `toml:"dns" reload:"new" doc:"name servers for clients, at most two of IPv4 and two of IPv6"`
	Routes     []string `toml:"routes" reload:"new" doc:"networks for split tunnelling: clients that are set to use no default gateway through the VPN, and ask by DHCPINFORM, route these; empty: everything goes through"`
	Domain     string   `toml:"domain" reload:"new" doc:"domain of the names inside, for clients that ask by DHCPINFORM"`
	Masquerade bool     `toml:"masquerade" reload:"restart" doc:"forward, and hide clients behind the server's address"`
	MTU        int      `toml:"mtu" reload:"new" doc:"largest inner packet, bytes"`
	Bridge     string   `toml:"bridge" reload:"restart" doc:"tap: bridge that the device joins"`
	LAN        string   `toml:"lan" reload:"restart" doc:"tap: the office network"`
	Gateway    string   `toml:"gateway" reload:"restart" doc:"tap: the office network's router"`

	Pool6         []string `toml:"pool6" reload:"restart" doc:"IPv6 networks for clients: of one shorter than /64 each session gets a /64, of others one address; empty: no IPv6 inside. The host then forwards IPv6. The server has each network's first address"`
	Delegate6     string   `toml:"delegate6" reload:"restart" doc:"IPv6 network of which clients that are routers get a prefix each, by DHCPv6"`
	Delegate6Bits int      `toml:"delegate6_bits" reload:"restart" doc:"length of these prefixes"`
	Masquerade6   bool     `toml:"masquerade6" reload:"restart" doc:"hide IPv6 clients behind the server's address; better have pool6 routed to the server"`

	ClientToClient bool `toml:"client_to_client" reload:"restart" doc:"clients may reach each other"`
	Multicast      bool `toml:"multicast" reload:"restart" doc:"multicast and broadcast pass: between clients, where client_to_client is true, and between them and the device, in mode tap the office network; some a second"`
}

// Auth is the table [auth].
type Auth struct {
	Methods []string `toml:"methods" reload:"new" doc:"authentication methods, most wanted first: mschapv2, chap, pap"`
	Backend string   `toml:"backend" reload:"restart" doc:"local or radius"`
}

// User is one [[user]].
type User struct {
	Name         string       `toml:"name" reload:"live" doc:"what the user types"`
	Password     secret.Bytes `toml:"password" reload:"live" doc:"password"`
	PasswordFile string       `toml:"password_file" reload:"live" doc:"file that holds the password"`
	NTHash       secret.Bytes `toml:"nt_hash" reload:"live" doc:"NT hash instead of a password, 32 hex digits; mschapv2 only"`
	Address      string       `toml:"address" reload:"live" doc:"static address, one session at a time; not the server's own, nor a network's"`
	Address6     string       `toml:"address6" reload:"live" doc:"static IPv6 address, by DHCPv6"`
	Prefix6      string       `toml:"prefix6" reload:"live" doc:"static /64, from which the client makes its addresses"`
	Delegated6   string       `toml:"delegated6" reload:"live" doc:"static prefix for the networks behind a client that is a router"`
	Group        string       `toml:"group" reload:"live" doc:"name of the [[group]] that the user belongs to"`
	DNS          []string     `toml:"dns" reload:"live" doc:"instead of the group's or network.dns"`
	Routes       []string     `toml:"routes" reload:"live" doc:"instead of the group's or network.routes; an empty list: everything goes through"`
	Domain       string       `toml:"domain" reload:"live" doc:"instead of the group's or network.domain"`
}

// Radius is the table [radius].
type Radius struct {
	Servers       []RadiusServer `toml:"servers" reload:"restart" doc:"servers, asked in order"`
	NASIdentifier string         `toml:"nas_identifier" reload:"restart" doc:"NAS-Identifier"`
	CoAListen     string         `toml:"coa_listen" reload:"restart" doc:"address for CoA and Disconnect: not built yet, leave it empty"`
	Timeout       time.Duration  `toml:"timeout" reload:"restart" doc:"how long one try waits"`
	Tries         int            `toml:"tries" reload:"restart" doc:"how often one server is asked"`
	Interim       time.Duration  `toml:"interim" reload:"new" doc:"interval of interim accounting; 0: none unless the server asks"`

	AllowUnsigned bool `toml:"allow_unsigned_replies" reload:"restart" doc:"accept replies without Message-Authenticator (CVE-2024-3596)"`
}

// RadiusServer is one element of radius.servers.
type RadiusServer struct {
	Address    string       `toml:"address" reload:"restart" doc:"host:port for authentication"`
	Accounting string       `toml:"accounting" reload:"restart" doc:"host:port for accounting; empty: none"`
	Secret     secret.Bytes `toml:"secret" reload:"restart" doc:"shared secret"`
	SecretFile string       `toml:"secret_file" reload:"restart" doc:"file that holds the shared secret"`
}

// Limits is the table [limits].
type Limits struct {
	Connections       int `toml:"connections" reload:"restart" doc:"peers at once"`
	HalfOpen          int `toml:"half_open" reload:"restart" doc:"unauthenticated exchanges at once; the oldest yield"`
	HalfOpenPerSource int `toml:"half_open_per_source" reload:"restart" doc:"of them, of peers before message 5, and a quarter of those without a user yet, from one IPv4 address or IPv6 /64; more than the clients behind one NAT that shake hands at once"`
	SessionsPerUser   int `toml:"sessions_per_user" reload:"new" doc:"sessions of one user at once; 0: no limit"`
}

// Log is the table [log].
type Log struct {
	Level  string `toml:"level" reload:"live" doc:"error, warn, info or debug"`
	Format string `toml:"format" reload:"restart" doc:"text, json, or auto: text on a terminal and in the journal of systemd, json elsewhere"`
}

// Admin is the table [admin].
type Admin struct {
	Socket  string `toml:"socket" reload:"restart" doc:"path of the control socket"`
	Metrics string `toml:"metrics" reload:"restart" doc:"host:port that serves /metrics and /healthz; empty: none"`
}

// Default returns the configuration of an empty file.
func Default() *Config {
	return &Config{
		Server:  Server{Listen: []string{"0.0.0.0", "::"}, StateDir: "/var/lib/adit", DeadPeer: 2 * time.Minute},
		IPsec:   IPsec{NATTraversal: "always", VendorIDs: []string{"nat-t", "dpd", "fragmentation"}},
		Network: Network{Mode: "tun", Device: "adit0", Pool: []string{"10.83.0.0/16"}, DNS: []string{"9.9.9.9"}, Masquerade: true, MTU: 1400, Delegate6Bits: 56, ClientToClient: true},
		Auth:    Auth{Methods: []string{"mschapv2"}, Backend: "local"},
		Radius:  Radius{NASIdentifier: "adit", Timeout: 3 * time.Second, Tries: 3},
		Limits:  Limits{Connections: 100000, HalfOpen: 4096, HalfOpenPerSource: 256},
		Log:     Log{Level: "info", Format: "auto"},
		Admin:   Admin{Socket: "/run/adit.sock"},
	}
}
