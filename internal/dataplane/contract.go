package dataplane

import (
	"net/netip"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/ipsec"
)

// Socket is one bound socket of one worker.
type Socket struct {
	Conn  udp.Conn
	Bound netip.AddrPort // what it is bound to, perhaps an unspecified address
	Kind  SocketKind
}

// SocketKind says what comes through a socket.
type SocketKind uint8

// The kinds of sockets.
const (
	SocketIKE  SocketKind = iota // port 500: ISAKMP alone
	SocketNATT                   // port 4500: ESP, and ISAKMP behind the non-ESP marker (RFC 3948, section 2)
	SocketESP                    // IP protocol 50: ESP alone, without ports
)

// KindOf is the kind of a socket on one of the ports that RFC 3947 has for them,
// and of port 0, which ESP without UDP has.
func KindOf(port uint16) SocketKind {
	switch port {
	case 0:
		return SocketESP
	case 4500:
		return SocketNATT
	}
	return SocketIKE
}

// Config is what a Plane works with.
type Config struct {
	Workers [][]Socket // the sockets of each worker; worker i uses device queue i
	Device  netdev.Device
	Control Control
	Pools   []netip.Prefix // routed by array; other prefixes by longest match
	Slots   int            // how many connections; there are some places more, for those that are just ending

	PathMTU int // of the paths to clients, in bytes; 0 for DefaultPathMTU

	ClientToClient bool // clients may reach each other

	// Multicast lets packets to everybody pass: from a client to the device and
	// the other clients, from the device to all clients.
	Multicast  bool
	Broadcasts []netip.Addr // that mean everybody, beside 255.255.255.255

	// BySource says that the connections are ones that we dialled: a packet from
	// the device belongs to the session that has its source address.
	BySource bool

	// Panicked, if set, is told what a worker recovered from. The batch is lost,
	// the worker goes on.
	Panicked func(value any, stack []byte)
}

// Control receives messages that belong to no connection yet. Its methods are called on
// socket workers: they must not block, and must copy what they keep.
type Control interface {
	// IKE is one ISAKMP message, without marker. What it appends to reply goes back
	// at once, with other replies of a batch: for what is answered without state.
	IKE(reply []byte, local, remote netip.AddrPort, marker bool, msg []byte) []byte
}

// Inbox receives the notes of one connection. Deliver must not block: it
// reports whether the note was taken. Data is borrowed for the call.
type Inbox interface{ Deliver(Note) bool }

// NoteKind says what a Note is about.
type NoteKind uint8

// The kinds of notes.
const (
	// NoteControl is an L2TP control message that came through ESP.
	NoteControl NoteKind = iota + 1
	// NoteFrame is a PPP frame other than unicast IP, of Session, which need not
	// be in the view.
	NoteFrame
	// NotePacket is an IP packet of Session for the control plane to answer: broadcast,
	// multicast, link-local, DHCP.
	NotePacket
	// NoteGroup is an IP packet of Session to everybody, for Flood.
	NoteGroup
	// NoteFirstUse says that the inbound SA of SPI received its first packet.
	NoteFirstUse
	// NoteMoved says that an authenticated, newest packet of the newest used inbound
	// SA came from Remote to Local, which is not the view's path.
	NoteMoved
	// NoteKilobytes says that an SA pair passed its soft byte limit or its
	// sequence numbers' limit; SPI is the inbound SPI of the pair.
	NoteKilobytes
	// NoteDamaged says that a compressed packet of Session could not be opened, and none
	// can be before the peer begins with an empty history.
	NoteDamaged
	// NoteShown says that a packet of a doubted SA was of Session; SPI is the SA's.
	NoteShown
	// NoteWrong says that a packet of a doubted SA belonged to no session; SPI is the SA's.
	NoteWrong
	// NoteIKE is an ISAKMP message; Control passes it on, not the plane.
	NoteIKE
)

// Note is what the data path tells a connection.
type Note struct {
	Kind          NoteKind
	Marker        bool // NoteIKE
	Late          bool // NoteControl: newer packets came before it
	Session       uint16
	SPI           uint32
	Local, Remote netip.AddrPort
	Data          []byte
}

// View is everything that the data path knows of one connection. It is
// immutable: a connection publishes a new one whenever something changed.
type View struct {
	In    []*ipsec.Inbound // all that receive; the newest first
	Ports []uint16         // inner UDP ports of the peer, an SA of In each, 0: any; nil: PeerPort
	Out   *ipsec.Outbound  // nil: nothing can be sent
	Muted bool             // users' packets must not leave by Out, and wait; PPP's and L2TP's own may

	// Doubted are the SPIs of those SAs of In that may not belong to the peer of the
	// sessions. Only messages that begin a tunnel pass on such an SA, until a data message
	// of one of the sessions has come by it.
	Doubted []uint32

	// Where ESP goes. Remote port 0 means raw ESP, protocol 50.
	Local, Remote netip.AddrPort

	LocalPort, PeerPort uint16 // inner UDP ports of Out; PeerPort 0: learnt from the first packet
	Tunnel, PeerTunnel  uint16 // our L2TP tunnel id and the peer's
	Sessions            []*Session
}
