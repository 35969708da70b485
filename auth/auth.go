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
)

func (m Method) String() string {
	switch m {
	case PAP:
		return "PAP"
	case CHAP:
		return "CHAP-MD5"
	case MSCHAPv2:
		return "MS-CHAPv2"
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

	Call Call
}

// Call is where an attempt comes from.
type Call struct {
	SessionID  string // Acct-Session-Id, unique a session
	Port       uint32 // NAS-Port
	Remote     netip.AddrPort
	Local      netip.AddrPort
	ClientName string // L2TP Host Name: from the peer, a field only
	Group      string // the group of the pre-shared key, "" for any
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
	// PasswordExpired wants a change that is not offered here.
	PasswordExpired
	// NoAddress is a user who may come in, when no address is left.
	NoAddress
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
	}
	return "no verdict"
}

// Response is a backend's answer.
type Response struct {
	Verdict  Verdict
	Detail   string   // for the administrator's log, never for the peer
	Message  string   // for the peer: Reply-Message; may be empty
	Warnings []string // for the log: what of the answer cannot be read, and was passed over
	Success  string   // MS-CHAPv2: "S=<40 hex digits>"
	Code     int      // MS-CHAPv2 failure code (RFC 2759, section 6), 0: 691
	Grant    Grant
}

// Settings are what a client is told of the network. Zero values leave it to
// who is less specific: a user's go before a group's, those before the server's.
type Settings struct {
	DNS    []netip.Addr
	Domain string
	Split  []netip.Prefix // for split tunnelling; nil: not said; empty: everything goes through
}

// Or is s with what it does not say taken from o.
func (s Settings) Or(o Settings) Settings {
	for _, four := range []bool{true, false} { // who names servers of one family leaves the other
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
	return s
}

// Grant is what an accepted user gets. Zero values leave the default.
type Grant struct {
	User    string // canonical name
	Group   string
	Address netip.Addr
	IPv6    IPv6
	Routes  []netip.Prefix // networks behind the client
	Settings
	SessionTimeout  time.Duration
	IdleTimeout     time.Duration
	InterimInterval time.Duration
	MTU             int
	Class           [][]byte // opaque, returned in accounting
}

// IPv6 is what of IPv6 a client has. In a Grant zero values leave the default:
// one of network.pool6, one of network.delegate6.
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
