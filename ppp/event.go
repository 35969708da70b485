package ppp

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// Event is what a Link tells its driver. Drain them after every call.
type Event interface{ event() }

// Send asks the driver to send one PPP frame, beginning with FF 03.
type Send struct {
	Frame []byte // valid until the next call into the link
}

// LinkUp says that LCP is open.
type LinkUp struct{ PeerMRU uint16 }

// AuthRequest asks the driver for a verdict, by HandleAuth with its Ticket.
// At most one is outstanding; repeats by the peer join it.
type AuthRequest struct {
	Ticket uint32
	Method Method
	User   string // as the peer sent it: a log field, never message text

	// PAP
	Password secret.Bytes
	// CHAP-MD5: ID, Challenge, 16-byte Response.
	// MS-CHAPv2: ID, 16-byte Challenge, 49-byte Response (RFC 2759, section 4).
	ID        byte
	Challenge []byte
	Response  []byte
}

// AuthAnswer is the driver's verdict.
type AuthAnswer struct {
	OK bool

	// Message is shown by clients that show one: on success as it stands, on
	// failure after the method's own fields. Empty: a default.
	Message string

	// Success is MS-CHAPv2's "S=<40 hex digits>" (RFC 2759, section 5).
	Success string

	// Error is MS-CHAPv2's failure code (RFC 2759, section 6): 691 by default.
	Error int

	// Close ends a link that passed: the peer is who it says, and cannot be
	// served. 0: it is.
	Close Reason

	// Network is what IPCP gives the peer, Network6 what IPV6CP does.
	Network  Network
	Network6 Network6
}

// Network is a link's IPv4 configuration, from the server's point of view in
// both roles.
type Network struct {
	Local, Peer netip.Addr   // the server's and the client's address
	DNS         []netip.Addr // at most two are used
}

// Authenticated says that the exchange is complete: as authenticator, that the
// peer passed; as peer, that we did.
type Authenticated struct {
	Method Method
	User   string
}

// NetworkUp says that IPCP is open and IP may flow.
type NetworkUp struct {
	Network Network
	MTU     uint16 // the largest IP packet that the peer takes
}

// NetworkDown says that IPCP is no longer open.
type NetworkDown struct{}

// Network6Up says that IPV6CP is open and IPv6 may flow.
type Network6Up struct {
	Network Network6
	MTU     uint16 // the largest IP packet that the peer takes
}

// Network6Down says that IPV6CP is no longer open.
type Network6Down struct{}

// AuthFailed says that authentication was refused, before the link ends.
type AuthFailed struct {
	Method  Method
	User    string
	Message string // what the peer was told, or, as peer, what we were told
}

// Note is a decision worth a counter or a debug line: a protocol rejected, an
// option refused.
type Note struct {
	Kind     NoteKind
	Protocol uint16
	Code     byte   // the option, code or Method that Kind speaks of
	Text     string // the peer's words, for NoteIdentification: a log field
}

// Proved says that the peer answered what Prove asked.
type Proved struct{}

// Down is a link's last event.
type Down struct {
	Why Reason
	// Detail names the protocol and the option that could not be agreed, in our
	// words; empty if Why says all.
	Detail string
	// PeerText is a Terminate-Request's data: a log field.
	PeerText string
}

func (Send) event()          {}
func (LinkUp) event()        {}
func (AuthRequest) event()   {}
func (Authenticated) event() {}
func (NetworkUp) event()     {}
func (NetworkDown) event()   {}
func (Network6Up) event()    {}
func (Network6Down) event()  {}
func (AuthFailed) event()    {}
func (Note) event()          {}
func (Proved) event()        {}
func (Down) event()          {}

// Config is a link's policy. It is immutable and may be shared.
type Config struct {
	Name    string   // ours, in challenges
	MRU     uint16   // what we announce, and the ceiling of what we send; 0: 1500
	Methods []Method // most wanted first; as client, empty: whatever is asked for

	Echo         time.Duration // silence before an Echo-Request; 0: never
	EchoFailures int           // unanswered Echo-Requests that end the link
	SetupTimeout time.Duration // from Start to Authenticated; 0: no limit
	AuthTimeout  time.Duration // how long a verdict is waited for; 0: no limit

	// As the authenticated peer (a client):
	Client   bool
	IPv6     bool // ask for IPv6, too
	User     string
	Password secret.Bytes
}
