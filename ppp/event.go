package ppp

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// Event is what a Link tells its driver, which drains the events after every call.
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
	User   string // as the peer sent it: use it as a log field, never as message text

	// PAP
	Password secret.Bytes
	// CHAP-MD5: ID, Challenge, 16-byte Response.
	// MS-CHAPv2: ID, 16-byte Challenge, 49-byte Response (RFC 2759, section 4).
	ID        byte
	Challenge []byte
	Response  []byte
	// EAP: the peer's Response, a whole packet. Continued says that it answers the Request of
	// the last AuthAnswer: it is for whoever made that.
	EAP       []byte
	Continued bool
	// Change, of MS-CHAPv2, is a new password in place of one that has expired. Response is made
	// with the new one.
	Change *Change
	MTU    uint16 // EAP: the longest packet for the peer
	// What the peer says of itself by LCP Identification, if it is Windows.
	ClientName, ClientVersion string
	// Again says that the peer has passed before and its network stays up: see Reauthenticate.
	Again bool
}

// Change is what a Change-Password packet has of the passwords (RFC 2759, section 7).
type Change struct {
	Password [516]byte // the new one, encrypted with the hash of the old one
	Hash     [16]byte  // of the old one, encrypted with that of the new one
}

// AuthAnswer is the driver's verdict.
type AuthAnswer struct {
	OK bool

	// Message is shown to the user by clients that display it: unchanged on success,
	// after the method's own fields on failure. Empty: a default.
	Message string

	// Success is MS-CHAPv2's "S=<40 hex digits>" (RFC 2759, section 5).
	Success string

	// Error is MS-CHAPv2's failure code (RFC 2759, section 6): 691 by default.
	Error int

	// EAP is the next Request, a whole packet, of an exchange that goes on; nil: this is the
	// verdict, whose packet the link makes itself.
	EAP []byte

	// Change says, of MS-CHAPv2 and a verdict that is not OK, that the password has expired and
	// that the peer may change it.
	Change bool

	// Close is why a link ends although its peer passed authentication: the peer cannot
	// be served. 0: the link continues.
	Close Reason

	// Show is what we show to this peer if it has asked that we authenticate ourselves, too.
	// Without a name it is asked to go without.
	Show Credentials

	// Network is what IPCP gives the peer; Network6 is what IPV6CP gives it.
	Network  Network
	Network6 Network6
}

// Credentials are a name and its password.
type Credentials struct {
	User     string
	Password secret.Bytes
}

// Network is a link's IPv4 configuration, from the server's point of view in
// both roles.
type Network struct {
	Local, Peer netip.Addr   // the server's and the client's address
	DNS         []netip.Addr // at most two are used
	NBNS        []netip.Addr // at most two are used; of a server's client
}

// Authenticated says that an exchange is complete: that the peer passed, or that we did.
// User is who has.
type Authenticated struct {
	Method Method
	User   string
}

// NetworkUp says that IPCP is open and IP may flow.
type NetworkUp struct {
	Network Network
	MTU     uint16 // the largest IP packet that the peer accepts
}

// NetworkDown says that IPCP is no longer open.
type NetworkDown struct{}

// Network6Up says that IPV6CP is open and IPv6 may flow.
type Network6Up struct {
	Network Network6
	MTU     uint16 // the largest IP packet that the peer accepts
}

// Network6Down says that IPV6CP is no longer open.
type Network6Down struct{}

// Compression says what may be compressed from now on. It comes before the packet leaves
// that lets the peer count on it.
type Compression struct {
	Send    Codec // what the peer receives once it has our Configure-Ack
	Receive Codec // what the peer may send once it has acknowledged our request
	Open    bool  // CCP is open: what is sent is compressed
}

// AuthFailed says that authentication was refused, before the link ends.
type AuthFailed struct {
	Method  Method
	User    string
	Message string // what we told the peer, or it told us
}

// Note reports a decision that deserves a counter or a debug line, such as a rejected
// protocol or a refused option.
type Note struct {
	Kind     NoteKind
	Protocol uint16
	Code     byte   // the option, the code or the Method, depending on Kind
	Text     string // the peer's words, for NoteIdentification: a log field
}

// Subject names the protocol, and the option if one is meant.
func (n Note) Subject() string {
	if n.Kind == NoteOptionRejected || n.Kind == NoteOptionNaked {
		return ProtocolName(n.Protocol) + " " + optionName(n.Protocol, n.Code)
	}
	return ProtocolName(n.Protocol)
}

// Proved says that the peer has returned the data that Prove asked for.
type Proved struct{}

// Down is a link's last event.
type Down struct {
	Why Reason
	// Detail names the protocol and the option that could not be agreed, in our words;
	// empty if Why says everything.
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
func (Compression) event()   {}
func (AuthFailed) event()    {}
func (Note) event()          {}
func (Proved) event()        {}
func (Down) event()          {}

// Config is a link's policy. It is immutable and may be shared.
type Config struct {
	Name    string   // ours, in challenges
	MRU     uint16   // the MRU that we announce, and the limit of what we send; 0: 1500
	Methods []Method // preferred first; as client, empty: any method that the server asks for

	Compression []Compressor // preferred first; empty: CCP is rejected

	Echo         time.Duration // silence before an Echo-Request; 0: never
	EchoFailures int           // unanswered Echo-Requests that end the link
	SetupTimeout time.Duration // from Start to Authenticated; 0: no limit
	AuthTimeout  time.Duration // how long a verdict is waited for; 0: no limit

	// Shows says, as authenticator, that there are peers to whom we authenticate ourselves,
	// if they ask for it: AuthAnswer.Show says to which.
	Shows bool

	// As the authenticated peer (a client):
	Client   bool
	IPv6     bool // ask for IPv6 as well
	User     string
	Password secret.Bytes
	PeerAuth PeerAuth // whether the server has to authenticate itself, too

	// As a client that is a router at the other end of a link, which asks for no name
	// servers:
	Router      bool
	Unnumbered  bool       // ask for no address; as authenticator, ask the peer to take none
	Address     netip.Addr // the only one that we take; invalid: any that the peer gives
	PeerAddress netip.Addr // the only one that the peer may have; invalid: any, or none
}
