package vpn

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// Observer is told every decision. Observe is called on the goroutines that decide, and
// must not block.
type Observer interface{ Observe(Event) }

// Event is one decision. Strings in it that come from the peer are log fields, never
// message text.
type Event interface{ event() }

// Who identifies what an event is about.
type Who struct {
	Conn   uint64 // number of the connection, 0 before there is one
	Remote netip.AddrPort
	Local  netip.AddrPort
	Client ike.ClientKind
	User   string // set once authenticated
	Device string // the link's, of a connection that we have placed for one
}

type (
	// FirstMessageRefused says that a first message got no embryo.
	FirstMessageRefused struct {
		Who
		Why error
	}
	// GroupUnknown says that a client asked, in Aggressive Mode, for a group that has no
	// pre-shared key. It was answered all the same, with a key that nobody has.
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
		Adopted bool // it belongs to a connection that existed before
	}
	// PhaseOneDown says that an ISAKMP SA has ended.
	PhaseOneDown struct {
		Who
		Why           ike.Reason
		Authenticated bool
		Told          bool // a PacketRefused has said why the peer could not authenticate
	}
	// ChildUp says that a pair of ESP SAs carries traffic.
	ChildUp struct {
		Who
		Child ike.Child
	}
	// ChildFailed says that a Quick Mode did not result in a pair.
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
	// TunnelDown says that the L2TP control connection has ended.
	TunnelDown struct {
		Who
		Result   l2tp.Result
		ByPeer   bool
		Secret   bool // the peer left while tunnel secrets were being proved
		Replaced bool // by a new SCCRQ of the same peer
	}
	// AuthDone says how an authentication ended.
	AuthDone struct {
		Who
		Method   auth.Method
		Name     string // as the peer sent it
		Verdict  auth.Verdict
		Detail   string
		Message  string   // what the backend said to the user
		Warnings []string // what was ignored in the backend's answer
		Err      error    // why no verdict was reached
		Duration time.Duration
		Odd      string // which byte of Name is invisible; "": none
	}
	// NetworksChanged says which networks lead to a session from now on and which no
	// longer do: its addresses, and the networks behind the client.
	NetworksChanged struct {
		Who
		Device         string // the session's own, to which those Added lead; "": the common one
		Left           string // and to which those Removed have led
		Added, Removed []netip.Prefix
	}
	// SessionUp says that a user's IP traffic flows.
	SessionUp struct {
		Who
		Session session.Info
	}
	// SessionDown says that a user's IP traffic no longer flows.
	SessionDown struct {
		Who
		Session session.Info
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
	// Full says that there was no room for another peer that proved a key. Either a peer
	// without a user made room for it, or users have all places and it was refused.
	Full struct {
		Who
		Admitted bool
		Users    int          // connections that have a user
		From     netip.Prefix // the source of the peer that made room
	}
	// Guessed says that a peer joined a connection but did not know the ids of its
	// sessions. It is another peer, so its phase 1 was ended.
	Guessed struct{ Who }
	// Noted says that a machine noticed something that had no effect.
	Noted struct {
		Who
		Layer Layer
		Kind  string // in our words
		Text  string
	}
	// Gardened says that the quota of a session is used up, and its filter the walled
	// garden's; or that it no longer is.
	Gardened struct {
		Who
		In bool
	}
	// ConnDown is a connection's last event.
	ConnDown struct {
		Who
		Why      End
		Lifetime time.Duration
		Told     bool   // a ChildFailed has said why the client could not go on
		Detail   string // what could not be agreed, in our words; "": Why says everything
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
func (Gardened) event()             {}
func (Full) event()                 {}
func (Guessed) event()              {}
func (ConnDown) event()             {}
func (Panicked) event()             {}

// Layer is the protocol that decided.
type Layer uint8

// The layers, from the outermost to the innermost.
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
	EndSetup                      // it did not bring a user in time
	EndPhaseOne                   // phase 1 failed before it was authenticated
	EndEvicted                    // newer unauthenticated peers took its place
	EndAdopted                    // its phase 1 joined another connection
	EndAdmin                      // an administrator's order
	EndServerStop                 // the server is stopping
	EndUserTimeout                // the user's session or idle time was over
	EndReplaced                   // the same user logged in again
	EndAuth                       // the user was refused
	EndNoAddress                  // no address was left for the user
	EndMethod                     // the peer accepts none of our authentication methods
	EndKeys                       // ESP keys were used up and could not be renewed
	EndCertificate                // its certificate is no longer accepted
	EndCrowded                    // it brought no user, and made room for another peer
	EndFull                       // users have all places
	EndNoESP                      // it cannot use ESP in UDP, and the server sends no other
	EndMoved                      // its client continues under the keys of another connection
	EndNegotiation                // PPP did not reach agreement
	EndQuota                      // the user's traffic quota was used up
	EndPreempted                  // its address was needed by a user who has it by name
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
	case EndPreempted:
		return "its address is now another user's own (network.on_conflict)"
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
		return "it proved a key and brought no user, and others needed its place (limits.half_open, limits.half_open_per_source)"
	case EndFull:
		return "all places are taken (limits.connections)"
	case EndNoESP:
		return "the peer does not know NAT traversal, and ESP without UDP is received only with ipsec.nat_traversal = \"auto\""
	case EndMoved:
		return "its client came back from another address and goes on there"
	case EndNegotiation:
		return "client and server could not agree on PPP"
	case EndQuota:
		return "the user's traffic quota is used up"
	case EndPanic:
		return "an error in the server"
	}
	return "unknown"
}
