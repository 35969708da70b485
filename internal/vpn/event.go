package vpn

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// Observer receives every decision. Observe is called on the goroutines that
// decide, and must not block.
type Observer interface{ Observe(Event) }

// Event is one decision. Strings in it that come from the peer are fields for
// a log, never message text.
type Event interface{ event() }

// Who is whom an event is about.
type Who struct {
	Conn   uint64 // number of the connection, 0 before there is one
	Remote netip.AddrPort
	Local  netip.AddrPort
	Client ike.ClientKind
	User   string // once authenticated
}

type (
	// FirstMessageRefused says that a first message got no embryo.
	FirstMessageRefused struct {
		Who
		Why error
	}
	// GroupUnknown says that a client asked, in Aggressive Mode, for a group
	// that has no pre-shared key. It was answered all the same, with a key that
	// nobody has.
	GroupUnknown struct {
		Who
		Group string // from the peer
	}
	// AggressiveUnanswered says that a first message of Aggressive Mode was
	// answered, and no message 3 came.
	AggressiveUnanswered struct{ Who }
	// PhaseOneUp says that a peer proved its pre-shared key.
	PhaseOneUp struct {
		Who
		Peer    ike.Peer
		Adopted bool // it belongs to a connection that was there
	}
	// PhaseOneDown says that an ISAKMP SA has ended.
	PhaseOneDown struct {
		Who
		Why           ike.Reason
		Authenticated bool
		Told          bool // a PacketRefused said why the peer could not prove who it is
	}
	// ChildUp says that a pair of ESP SAs carries traffic.
	ChildUp struct {
		Who
		Child ike.Child
	}
	// ChildFailed says that a Quick Mode gave no pair.
	ChildFailed struct {
		Who
		Why ike.ChildFailed
	}
	// ChildDown says that a pair was retired.
	ChildDown struct {
		Who
		InSPI, OutSPI uint32
		Why           ChildEnd
	}
	// Moved says that the peer's address or port changed.
	Moved struct {
		Who
		From netip.AddrPort
	}
	// TunnelUp says that the L2TP control connection is established.
	TunnelUp struct {
		Who
		Peer l2tp.Peer
	}
	// TunnelDown says that it ended.
	TunnelDown struct {
		Who
		Result   l2tp.Result
		ByPeer   bool
		Secret   bool // the peer went where tunnel secrets were being proved
		Replaced bool // by a new SCCRQ of the same peer
	}
	// AuthDone says how an authentication ended.
	AuthDone struct {
		Who
		Method   auth.Method
		Name     string // as the peer sent it
		Verdict  auth.Verdict
		Detail   string
		Message  string   // what the backend has said to the user
		Warnings []string // what of its answer was passed over
		Err      error    // no verdict was reached
		Duration time.Duration
		Odd      string // which byte of Name nobody sees; "": none
	}
	// NetworksChanged says which networks lead to a session from now on, and
	// which do no longer: its addresses, and what lies behind the client.
	NetworksChanged struct {
		Who
		Added, Removed []netip.Prefix
	}
	// SessionUp says that a user's IP traffic flows.
	SessionUp struct {
		Who
		Session Info
	}
	// SessionDown says that it no longer does.
	SessionDown struct {
		Who
		Session Info
		Cause   auth.Cause
		Link    ppp.Reason
	}
	// PacketRefused says that a control packet was dropped.
	PacketRefused struct {
		Who
		Layer Layer
		Why   error
		Again bool // the peer repeats a proof that was refused before
	}
	// Noted is something that a machine noticed and that changed nothing.
	Noted struct {
		Who
		Layer Layer
		Kind  string // in our words
		Text  string
	}
	// ConnDown is a connection's last event.
	ConnDown struct {
		Who
		Why      End
		Lifetime time.Duration
		Told     bool   // a ChildFailed said why the client could not go on
		Detail   string // what could not be agreed, in our words; "": Why says all
	}
	// Panicked says that a connection's goroutine recovered from a panic.
	Panicked struct {
		Who
		Value any
		Stack []byte
	}
)

func (FirstMessageRefused) event()  {}
func (GroupUnknown) event()         {}
func (AggressiveUnanswered) event() {}
func (PhaseOneUp) event()           {}
func (PhaseOneDown) event()         {}
func (ChildUp) event()              {}
func (ChildFailed) event()          {}
func (ChildDown) event()            {}
func (Moved) event()                {}
func (TunnelUp) event()             {}
func (TunnelDown) event()           {}
func (AuthDone) event()             {}
func (NetworksChanged) event()      {}
func (SessionUp) event()            {}
func (SessionDown) event()          {}
func (PacketRefused) event()        {}
func (Noted) event()                {}
func (ConnDown) event()             {}
func (Panicked) event()             {}

// Layer is the protocol that decided.
type Layer uint8

// The layers, from the outside in.
const (
	LayerIKE Layer = iota + 1
	LayerESP
	LayerL2TP
	LayerPPP
)

func (l Layer) String() string {
	switch l {
	case LayerIKE:
		return "IKE"
	case LayerESP:
		return "ESP"
	case LayerL2TP:
		return "L2TP"
	case LayerPPP:
		return "PPP"
	}
	return "unknown layer"
}

// ChildEnd is why a pair of ESP SAs was retired.
type ChildEnd uint8

// The ends of a pair.
const (
	ChildExpired ChildEnd = iota + 1
	ChildDeletedByPeer
	ChildReplaced
	ChildClosed
)

func (e ChildEnd) String() string {
	switch e {
	case ChildExpired:
		return "lifetime over"
	case ChildDeletedByPeer:
		return "deleted by the peer"
	case ChildReplaced:
		return "replaced"
	case ChildClosed:
		return "connection closed"
	}
	return "unknown"
}

// End is why a connection ended.
type End uint8

// The ends of a connection.
const (
	EndPeer        End = iota + 1 // the peer said goodbye
	EndLost                       // it fell silent
	EndSetup                      // it did not get as far as a user in time
	EndPhaseOne                   // phase 1 failed before it was authenticated
	EndEvicted                    // newer unauthenticated peers took its place
	EndAdopted                    // its phase 1 joined another connection
	EndAdmin                      // an administrator's order
	EndServerStop                 // the server stops
	EndUserTimeout                // the user's session or idle time was over
	EndReplaced                   // the same user came in again
	EndAuth                       // the user was refused
	EndNoAddress                  // there was no address left for the user
	EndMethod                     // the peer takes no authentication method of ours
	EndKeys                       // ESP keys ran out and could not be renewed
	EndCertificate                // its certificate is accepted no more
	EndCrowded                    // too many of its source have brought no user
	EndNoESP                      // it cannot have ESP in UDP, and there is no other
	EndMoved                      // its client goes on under keys of another connection
	EndNegotiation                // PPP did not come to terms
	EndPanic
)

func (e End) String() string {
	switch e {
	case EndPeer:
		return "closed by the peer"
	case EndLost:
		return "the peer fell silent"
	case EndSetup:
		return "no user was authenticated in time"
	case EndPhaseOne:
		return "phase 1 failed"
	case EndEvicted:
		return "evicted by newer handshakes"
	case EndAdopted:
		return "joined the connection it belongs to"
	case EndAdmin:
		return "disconnected by the administrator"
	case EndServerStop:
		return "the server stops"
	case EndUserTimeout:
		return "session or idle timeout"
	case EndReplaced:
		return "replaced by a new connection"
	case EndAuth:
		return "authentication failed"
	case EndNoAddress:
		return "no address was left for the user"
	case EndMethod:
		return "the client allows no authentication method of auth.methods"
	case EndKeys:
		return "the ESP keys expired and the peer did not renew them"
	case EndCertificate:
		return "the client's certificate is accepted no more"
	case EndCrowded:
		return "too many peers from its address have proved a key and brought no user (limits.half_open_per_source)"
	case EndNoESP:
		return "the peer does not know NAT traversal, and ESP without UDP is received only with ipsec.nat_traversal = \"auto\""
	case EndMoved:
		return "its client came back from another address and goes on there"
	case EndNegotiation:
		return "client and server could not agree on PPP"
	case EndPanic:
		return "an error in the server"
	}
	return "unknown"
}
