package conf

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// Config is everything an administrator can say. Load returns one that is
// valid; it is not changed afterwards.
//
// The tag reload says what a change needs: "live" applies to connections that
// are up, "new" to new ones, "restart" to the next start.
type Config struct {
	Server  Server   `toml:"server"`
	IPsec   IPsec    `toml:"ipsec"`
	L2TP    L2TP     `toml:"l2tp"`
	PPP     PPP      `toml:"ppp"`
	Network Network  `toml:"network"`
	Auth    Auth     `toml:"auth"`
	Users   []User   `toml:"user" reload:"live"`
	Groups  []Group  `toml:"group" reload:"new"`
	Filters []Filter `toml:"filter" reload:"new"`
	Pools   []Pool   `toml:"pool" reload:"restart"`
	Links   []Link   `toml:"link" reload:"live"`
	Tunnels []Tunnel `toml:"tunnel" reload:"restart"`
	Radius  Radius   `toml:"radius"`
	Limits  Limits   `toml:"limits"`
	Log     Log      `toml:"log"`
	Admin   Admin    `toml:"admin"`

	// File is where it was read from, "" if it came from the environment alone.
	File string `toml:"-"`

	// Notes are warnings about settings that were read and have no effect.
	Notes []string `toml:"-"`

	// secretsIn are the files that hold secrets beside other things.
	secretsIn []string `toml:"-"`

	read *decoder `toml:"-"` // knows where each key stands; nil: nothing was read
}

// Server is the table [server].
type Server struct {
	Listen   []netip.Addr  `toml:"listen" reload:"restart" doc:"addresses on which UDP ports 500 and 4500 are opened"`
	Public   Host          `toml:"public" reload:"new" doc:"name or address that clients dial; needed where the server is behind NAT"`
	DeadPeer time.Duration `toml:"dead_peer_timeout" reload:"new" doc:"a client that has fallen silent is gone after this long, 20s to 1h; it is asked five times within it"`
	StateDir string        `toml:"state_dir" reload:"restart" doc:"directory for what must survive a restart"`
}

// IPsec is the table [ipsec].
type IPsec struct {
	PSK          []secret.Bytes `toml:"psk" reload:"new" doc:"pre-shared key, or a list: all are live"`
	PSKFile      string         `toml:"psk_file" reload:"new" doc:"file that holds the pre-shared key, one a line"`
	AllowWeakPSK bool           `toml:"allow_weak_psk" reload:"new" doc:"accept a short or well-known pre-shared key"`
	NATTraversal NATTraversal   `toml:"nat_traversal" reload:"restart" doc:"always: encapsulate in UDP; auto: only behind NAT, which needs CAP_NET_RAW and a path for IP protocol 50"`
	Aggressive   bool           `toml:"aggressive" reload:"new" doc:"accept Aggressive Mode, which clients with a group name use; a weak pre-shared key can then be guessed by anybody"`
	IKE          []IKEElement   `toml:"ike" reload:"new" doc:"suites of phase 1 that are accepted, most wanted first, as in \"aes256-sha1-modp2048\" or \"aes-modp2048\", or \"!3des\", \"!modp1024\" to take away; empty: all"`
	ESP          []ESPElement   `toml:"esp" reload:"new" doc:"suites of ESP that are accepted, likewise, as in \"aes256gcm16\" or \"aes-sha1\"; a group is one of perfect forward secrecy, for clients that ask for it"`
	VendorIDs    []VendorID     `toml:"vendor_ids" reload:"new" doc:"vendor IDs to answer where the client offered them: nat-t, dpd, fragmentation, ms, initial-contact"`
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

// PPP is the table [ppp].
type PPP struct {
	Compression []Compression `toml:"compression" reload:"new" doc:"what packets of clients that ask for it are compressed by: mppc, deflate; empty: nothing. It gives away what is inside, see [compression.md](compression.md)"`
}

// Network is the table [network].
type Network struct {
	Mode       Mode           `toml:"mode" reload:"restart" doc:"tun: a routed network; tap: addresses of an office LAN"`
	Device     string         `toml:"device" reload:"restart" doc:"name of the network device"`
	Pool       []AddressRange `toml:"pool" reload:"restart" doc:"networks or ranges that clients get addresses of; the server has each network's first"`
	DNS        []netip.Addr   `toml:"dns" reload:"new" doc:"name servers for clients, at most two of IPv4 and two of IPv6"`
	Routes     []netip.Prefix `toml:"routes" reload:"new" doc:"networks for split tunnelling: clients that are set to use no default gateway through the VPN, and ask by DHCPINFORM, route these; empty: everything goes through"`
	Domain     string         `toml:"domain" reload:"new" doc:"domain of the names inside, for clients that ask by DHCPINFORM"`
	Masquerade bool           `toml:"masquerade" reload:"restart" doc:"forward, and hide clients behind the server's address"`
	MTU        int            `toml:"mtu" reload:"new" doc:"largest inner packet, bytes"`
	Bridge     string         `toml:"bridge" reload:"restart" doc:"tap: bridge that the device joins"`
	LAN        netip.Prefix   `toml:"lan" reload:"restart" doc:"tap: the office network"`
	Gateway    netip.Addr     `toml:"gateway" reload:"restart" doc:"tap: the office network's router"`

	Pool6         []netip.Prefix `toml:"pool6" ip:"IPv6" reload:"restart" doc:"IPv6 networks for clients: of one shorter than /64 each session gets a /64, of others one address; empty: no IPv6 inside. The host then forwards IPv6. The server has each network's first address"`
	Delegate6     netip.Prefix   `toml:"delegate6" ip:"IPv6" reload:"restart" doc:"IPv6 network of which clients that are routers get a prefix each, by DHCPv6"`
	Delegate6Bits int            `toml:"delegate6_bits" reload:"restart" doc:"length of these prefixes"`
	Masquerade6   bool           `toml:"masquerade6" reload:"restart" doc:"hide IPv6 clients behind the server's address; better have pool6 routed to the server"`

	Reserve []AddressRange `toml:"reserve" reload:"live" doc:"addresses, networks or ranges of the pools that nobody gets who does not have them by name: by user.address and the like, or from RADIUS"`

	OnConflict Conflict `toml:"on_conflict" reload:"new" doc:"when a user has an address by name, by user.address or from RADIUS, that a pool has given to somebody else: end, their session ends, and they get another when they come again; refuse, the user is refused"`

	ClientToClient bool           `toml:"client_to_client" reload:"restart" doc:"clients may reach each other"`
	Inbound        []netip.Prefix `toml:"inbound" reload:"live" doc:"networks whose hosts may open connections to clients, and to networks behind them; empty: none, and only answers pass"`
	HostAccess     []Service      `toml:"host_access" reload:"live" doc:"services of the server's own host that clients reach, as in \"tcp/22\" or \"udp/8000-8010\", or \"all\"; empty: ping, and DNS where the host is a name server of clients'"`
	Multicast      bool           `toml:"multicast" reload:"restart" doc:"multicast and broadcast pass: between clients, where client_to_client is true, and between them and the device, in mode tap the office network; some a second"`
}

// Auth is the table [auth].
type Auth struct {
	Methods  []Method    `toml:"methods" reload:"new" doc:"authentication methods, most wanted first: mschapv2, eap, chap, pap"`
	Backend  Backend     `toml:"backend" reload:"restart" doc:"local or radius"`
	FoldCase bool        `toml:"fold_case" reload:"new" doc:"upper and lower case of a user's name are the same: Alice has the sessions of alice, as limits and quotas count them. Names that the RADIUS server gives as User-Name, and local users' stand as they are"`
	Strip    []NamePart  `toml:"strip" reload:"new" doc:"parts of a name that make no other user, likewise: domain, in front of a backslash; realm, behind the @"`
	EAP      []EAPMethod `toml:"eap" reload:"new" doc:"methods of EAP for local users, most wanted first: mschapv2; tls, for which ipsec.certificate and ipsec.ca are used. With RADIUS every method passes through, and this is left empty"`
}

// User is one [[user]].
type User struct {
	Name         string         `toml:"name" reload:"live" doc:"what the user types"`
	Password     secret.Bytes   `toml:"password" reload:"live" doc:"password"`
	PasswordFile string         `toml:"password_file" reload:"live" doc:"file that holds the password"`
	NTHash       NTHash         `toml:"nt_hash" reload:"live" doc:"NT hash instead of a password, 32 hex digits; mschapv2 only"`
	TOTP         secret.Bytes   `toml:"totp" reload:"live" doc:"key of one-time codes, in base32: the user types the password and, right behind it, the six digits of the code; adit user totp makes one"`
	MustChange   bool           `toml:"must_change" reload:"live" doc:"the password has expired: clients with MS-CHAPv2, as Windows, ask the user for another one, which is kept; it is for users of adit user, whose file the server writes"`
	Certificate  bool           `toml:"certificate" reload:"live" doc:"the user may show a certificate of ipsec.ca with this name, by EAP-TLS, and needs no password"`
	Address      netip.Addr     `toml:"address" ip:"IPv4" reload:"live" doc:"static address, one session at a time; not the server's own, nor a network's"`
	Address6     netip.Addr     `toml:"address6" ip:"IPv6" reload:"live" doc:"static IPv6 address, by DHCPv6"`
	Prefix6      netip.Prefix   `toml:"prefix6" ip:"IPv6" reload:"live" doc:"static /64, from which the client makes its addresses"`
	Delegated6   netip.Prefix   `toml:"delegated6" ip:"IPv6" reload:"live" doc:"static prefix for the networks behind a client that is a router"`
	Group        string         `toml:"group" reload:"live" doc:"name of the [[group]] that the user belongs to"`
	Domain       string         `toml:"domain" reload:"live" doc:"instead of the group's or network.domain"`
	DNS          []netip.Addr   `toml:"dns" reload:"live" doc:"instead of the group's or network.dns"`
	Routes       []netip.Prefix `toml:"routes" reload:"live" doc:"instead of the group's or network.routes; an empty list: everything goes through"`
	Interface    bool           `toml:"interface" reload:"live" doc:"each session of the user has a network device of its own, as group.interface"`

	Allowance // instead of the group's
}

// Limits is the table [limits].
type Limits struct {
	Connections       int `toml:"connections" reload:"restart" doc:"peers at once"`
	HalfOpen          int `toml:"half_open" reload:"restart" doc:"peers at once that have not proved a key; of those that have, but have no user yet, half as many, or 1024 if that is more and not above this limit; beyond it the oldest of the source that has most yields"`
	HalfOpenPerSource int `toml:"half_open_per_source" reload:"restart" doc:"the same for one IPv4 address or IPv6 /64: peers between message 3 and message 5, and four times as many that proved a key and have no user yet; beyond it the oldest of that address yields; set it higher than the number of clients behind one NAT that connect at once"`
	StrangerMemory    int `toml:"stranger_memory" reload:"restart" doc:"MiB of memory that all peers together can use before they prove a key; beyond it the oldest yield"`
	SessionsPerUser   int `toml:"sessions_per_user" reload:"new" doc:"sessions of one user at once; 0: no limit. At the limit all of them are asked whether they live, and one that keeps silent for 4 seconds makes room"`

	GuessExempt []netip.Prefix `toml:"guess_exempt" reload:"live" doc:"networks that clients come from whose wrong passwords neither slow anybody down nor count, as an office behind one address, or a host that tests logins; empty: none"`

	OnExcess Excess `toml:"on_excess" reload:"new" doc:"what a new session comes to whose user has as many sessions as allowed, all of which live: deny refuses it, replace ends the oldest"`
}

// Log is the table [log].
type Log struct {
	Level  Level  `toml:"level" reload:"live" doc:"error, warn, info or debug"`
	Format Format `toml:"format" reload:"restart" doc:"text, json, or auto: text on a terminal and in the journal of systemd, json elsewhere"`
}

// Admin is the table [admin].
type Admin struct {
	Socket  string   `toml:"socket" reload:"restart" doc:"path of the control socket"`
	Metrics HostPort `toml:"metrics" as:"127.0.0.1:9701" reload:"restart" doc:"host:port that serves /metrics and /healthz; empty: none"`
}

// Default returns the configuration of an empty file.
func Default() *Config {
	return &Config{
		Server:  Server{Listen: []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, StateDir: "/var/lib/adit", DeadPeer: 2 * time.Minute},
		IPsec:   IPsec{NATTraversal: NATAlways, VendorIDs: []VendorID{vendorNATT, "dpd", "fragmentation"}},
		Network: Network{Mode: TUN, Device: "adit0", Pool: []AddressRange{{Prefix: netip.MustParsePrefix("10.83.0.0/16")}}, DNS: []netip.Addr{netip.MustParseAddr("9.9.9.9")}, Masquerade: true, MTU: 1400, Delegate6Bits: 56, OnConflict: ConflictEnd, ClientToClient: true},
		Auth:    Auth{Methods: []Method{MSCHAPv2}, Backend: BackendLocal, FoldCase: true},
		Radius:  Radius{NASIdentifier: "adit", Patience: 55 * time.Second},
		Limits:  Limits{Connections: 100000, HalfOpen: 4096, HalfOpenPerSource: 256, StrangerMemory: 64, OnExcess: ExcessDeny},
		Log:     Log{Level: LevelInfo, Format: FormatAuto},
		Admin:   Admin{Socket: "/run/adit.sock"},
	}
}
