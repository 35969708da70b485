package auth

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// Method is how the user proves who they are.
type Method uint8

// The authentication methods.
const (
	PAP      Method = iota + 1 // RFC 1334
	CHAP                       // RFC 1994, MD5
	MSCHAPv2                   // RFC 2759
	EAP                        // RFC 3748
)

func (m Method) String() string {
	switch m {
	case PAP:
		return "PAP"
	case CHAP:
		return "CHAP-MD5"
	case MSCHAPv2:
		return "MS-CHAPv2"
	case EAP:
		return "EAP"
	}
	return "unknown method"
}

// Request is one attempt to authenticate.
type Request struct {
	Method Method
	User   string // as the peer sent it

	Password  secret.Bytes // PAP
	ID        byte         // CHAP and MS-CHAPv2: the identifier of the exchange
	Challenge []byte
	Response  []byte // CHAP: 16 bytes; MS-CHAPv2: 49 (RFC 2759, section 4)

	Change *PasswordChange // MS-CHAPv2: a new password, with which Response is made; nil: none

	State []byte // what the backend gave for this in Grant.Again; nil: nothing

	EAP []byte // EAP: the peer's Response, a whole packet
	MTU int    // EAP: the largest packet that the peer can be sent, bytes

	Call Call
}

// Call is where an attempt comes from.
type Call struct {
	SessionID  string // Acct-Session-Id, unique a session
	Port       uint32 // NAS-Port
	Remote     netip.AddrPort
	Local      netip.AddrPort
	ClientName string // L2TP Host Name: from the peer, a field only
	RASName    string // of Windows, what it says of itself in PPP, likewise
	RASVersion string
	Group      string // the group of the pre-shared key, "" for any
	Certified  bool   // the client has proved a certificate, not a pre-shared key
	Before     uint32 // attempts that the connection has made already

	PortID string // NAS-Port-Id
	Info   string // Connect-Info: what the connection is protected with
	Multi  string // Acct-Multi-Session-Id, the same for all sessions of a connection that has had several; "": it has had one
	Links  uint32 // of these, how many are up: Acct-Link-Count
}

// Verdict says why a request was refused, or that it was not.
type Verdict uint8

// The verdicts.
const (
	Accepted Verdict = iota + 1
	// BadCredentials is a wrong user or a wrong password: a peer is never told which.
	BadCredentials
	// NotAllowed is a user with the right password who may not come in this way.
	NotAllowed
	// MethodImpossible means that the stored credential cannot verify this method.
	MethodImpossible
	// PasswordExpired wants a change of the password, which MS-CHAPv2 alone can carry.
	PasswordExpired
	// NoAddress is a user who is accepted while no address is left.
	NoAddress
	// Asked is no verdict yet: the exchange of EAP goes on.
	Asked
)

func (v Verdict) String() string {
	switch v {
	case Accepted:
		return "accepted"
	case BadCredentials:
		return "wrong user name or password"
	case NotAllowed:
		return "not allowed to connect"
	case MethodImpossible:
		return "the stored credential cannot verify this method"
	case PasswordExpired:
		return "password expired"
	case NoAddress:
		return "no address left"
	case Asked:
		return "asked again"
	}
	return "no verdict"
}

// Response is a backend's answer.
type Response struct {
	Verdict  Verdict
	Detail   string   // for the administrator's log, never for the peer; Asked: why it is to be refused, if that is known
	Message  string   // for the peer: Reply-Message; may be empty
	Warnings []string // for the log: parts of the answer that cannot be read and were ignored
	Success  string   // MS-CHAPv2: "S=<40 hex digits>"
	Code     int      // MS-CHAPv2 failure code (RFC 2759, section 6), 0: 691
	Grant    Grant
	Server   string // of RADIUS, which said so; "": none was asked

	EAP  []byte  // Asked: the next Request, a whole packet
	Next Backend // Asked: who gets the peer's answer to that; it notices by itself if none comes
}

// Settings are what a client is told about the network. A user's override the group's,
// and these the server's; zero values override nothing.
type Settings struct {
	DNS    []netip.Addr
	Domain string
	Split  []netip.Prefix // for split tunnelling; nil: not said; empty: everything goes through

	OwnDevice bool // the client is told nothing of it: its session has a device of its own
}

// Or returns s with its zero values replaced by those of o.
func (s Settings) Or(o Settings) Settings {
	for _, four := range []bool{true, false} { // each family is overridden by itself
		if of := func(a netip.Addr) bool { return a.Is4() == four }; !slices.ContainsFunc(s.DNS, of) {
			for _, a := range o.DNS {
				if of(a) {
					s.DNS = append(s.DNS[:len(s.DNS):len(s.DNS)], a)
				}
			}
		}
	}
	if s.Domain == "" {
		s.Domain = o.Domain
	}
	if s.Split == nil {
		s.Split = o.Split
	}
	s.OwnDevice = s.OwnDevice || o.OwnDevice
	return s
}

// Grant is what an accepted user gets. Zero values leave the default.
type Grant struct {
	User    string // by whom sessions are counted: see Identity
	Group   string
	Address netip.Addr
	IPv6    IPv6
	Routes  []netip.Prefix // networks behind the client
	Settings
	SessionTimeout  time.Duration
	IdleTimeout     time.Duration
	InterimInterval time.Duration
	MTU             int
	Interface       string   // the device of the session; "": the common one
	Class           [][]byte // opaque, returned in accounting
	LogonDomain     []byte   // MS-CHAP-Domain, likewise
	Link            *Link    // of a caller that is the other end of a link; nil: it is none

	Limits  Limits
	Pools   Pools
	Filters []string     // names of groups and filters, of which the first group counts: Filter-Id
	NBNS    []netip.Addr // WINS servers, at most two
	Until   time.Time    // when the session ends at the latest; zero: SessionTimeout alone says

	Again *Again // what follows on SessionTimeout; nil: the session's end

	By   Authority // who accepted the user
	Name string    // in accounting, if it is another than User
}

// Networks are the addresses and networks that a grant names.
func (g *Grant) Networks() (list []netip.Prefix) {
	for _, a := range []netip.Addr{g.Address, g.IPv6.Address} {
		if a.IsValid() {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	for _, p := range append([]netip.Prefix{g.IPv6.Prefix, g.IPv6.Delegated}, g.Routes...) {
		if p.IsValid() {
			list = append(list, p)
		}
	}
	return list
}

// Again says that a user authenticates once more when SessionTimeout is over, and that the session
// goes on if the backend accepts that (RFC 2865, section 5.29).
type Again struct {
	State []byte // goes back to the backend with that (section 5.24)
}

// Authority is who accepted a user: Acct-Authentic (RFC 2866, section 5.6).
type Authority uint8

// The authorities.
const (
	ByRADIUS Authority = iota + 1
	ByLocal
)

// Link is what a caller gets that is the other end of a link, in place of what clients
// have.
type Link struct {
	Local netip.Addr    // our address on the link; not valid: none
	IPv6  bool          // link-local addresses
	Echo  time.Duration // silence after which the caller is asked whether it is there; 0: as clients are

	User     string // what we show, if the caller demands that we authenticate ourselves; "": nothing
	Password secret.Bytes
}

// IPv6 is what a client has for IPv6. In a Grant zero values leave the default: one of
// network.pool6, one of network.delegate6.
type IPv6 struct {
	Address   netip.Addr   // by DHCPv6
	Prefix    netip.Prefix // a /64 from which the client makes its addresses
	Delegated netip.Prefix // by DHCPv6, for networks behind the client
	Interface [8]byte      // the client's interface identifier
}

// Backend authenticates users. An error means that no verdict was reached: it
// says what happened and what to do.
type Backend interface {
	Authenticate(ctx context.Context, r *Request) (Response, error)
}

// Status is the kind of an accounting record (RFC 2866, section 5.1).
type Status uint8

// The kinds of accounting records.
const (
	Start Status = iota + 1
	Interim
	Stop
)

// Cause is why a session ended: Acct-Terminate-Cause (RFC 2866, section 5.10).
type Cause uint32

// The causes that adit reports.
const (
	UserRequest    Cause = 1
	LostCarrier    Cause = 2
	IdleTimeout    Cause = 4
	SessionTimeout Cause = 5
	AdminReset     Cause = 6
	AdminReboot    Cause = 7
	PortError      Cause = 8
	NASError       Cause = 9
	NASRequest     Cause = 10
	NASReboot      Cause = 11
	PortPreempted  Cause = 13
	ServiceUnavail Cause = 15
	UserError      Cause = 17
)

func (c Cause) String() string {
	switch c {
	case UserRequest:
		return "user request"
	case LostCarrier:
		return "lost carrier"
	case IdleTimeout:
		return "idle timeout"
	case SessionTimeout:
		return "session timeout"
	case AdminReset:
		return "disconnected by the administrator"
	case AdminReboot:
		return "server stopped"
	case PortError:
		return "link error"
	case NASError:
		return "server error"
	case NASRequest:
		return "replaced by a new connection"
	case NASReboot:
		return "cut off when the server died"
	case PortPreempted:
		return "made room for a user who has the address by name"
	case ServiceUnavail:
		return "service unavailable"
	case UserError:
		return "client error"
	}
	return "unknown cause"
}

// Record is one accounting record. Octets count IP as it left the tunnel and
// as it entered it: input is from the client.
type Record struct {
	Status  Status
	Call    Call
	User    string
	Address netip.Addr
	IPv6    IPv6
	Method  Method
	Class   [][]byte
	By      Authority

	LogonDomain []byte

	Time          time.Time
	Duration      time.Duration
	InputOctets   uint64
	OutputOctets  uint64
	InputPackets  uint64
	OutputPackets uint64
	Cause         Cause // Stop only
}

// Accountant takes accounting records. Account never blocks and keeps the
// order of one session's records.
type Accountant interface{ Account(Record) }
