package ike

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/secret"
)

// Path is where a message came from and where it arrived, or the reverse for
// one that leaves.
type Path struct {
	Local, Remote netip.AddrPort

	// Marker says that the path is the NAT-T port's: the driver takes the
	// four-zero non-ESP marker off and puts it on (RFC 3948, section 2.2).
	Marker bool
}

// Event is what an SA tells its driver. Drain them after every call.
type Event interface{ event() }

// Send asks the driver to send one ISAKMP message, without non-ESP marker.
type Send struct {
	Path Path
	Data []byte // valid until the next call into the SA
}

// Authenticated says that phase 1 is complete and the peer proved that it
// knows the secret. It comes once, before any child.
type Authenticated struct {
	Path Path
	Peer Peer
}

// Fresh says that a verified message which was no replay came over Path; the
// peer's endpoint may move there.
type Fresh struct{ Path Path }

// ChildReceiving says that a Quick Mode is agreed and its inbound SA must be
// live before the next packet: as responder it comes before the Send of
// message 2, as initiator with message 3.
type ChildReceiving struct{ Child Child }

// ChildSending says that the peer has the child of this inbound SPI too:
// message 3 verified. As initiator it says only that message 3 left, which may be
// lost or late: a driver that has an older child sends on that until it sees the
// peer use this one, or until the peer has asked for message 3 for some seconds no
// more. ChildAsked tells when it does.
type ChildSending struct{ InSPI uint32 }

// ChildAsked says, as initiator, that the peer sent message 2 once more, because
// message 3 did not come, and that message 3 left again.
type ChildAsked struct{ InSPI uint32 }

// ChildFailed says that a Quick Mode ended without a child. InSPI may be
// released. Why is one of the Failure values.
type ChildFailed struct {
	InSPI     uint32
	Initiator bool
	Why       Failure
	Notify    uint16 // the notify type that was sent or received, 0 if none

	Offered []string // what the peer proposed, after FailureNoProposal; at most 32 names
	Detail  string   // more of why, in our words and numbers; "" if there is none
}

// ChildDeleted says that the peer deleted its inbound SA of this SPI, which is
// our outbound SA.
type ChildDeleted struct{ OutSPI uint32 }

// InitialContact says that the peer claims to hold no other SA. It closes
// nothing by itself.
type InitialContact struct{}

// Alive says that the peer answered a Probe, or sent one.
type Alive struct{}

// Note is a decision worth a log line or a counter that changes nothing:
// an unknown notify, an ignored payload, a repeated request.
type Note struct {
	Kind NoteKind
	Type uint16 // notify type or payload type, where the kind has one
}

// What names the notify, the payload or the exchange that a note is about, ""
// if it is about none.
func (n Note) What() string {
	switch n.Kind {
	case NoteNotify, NoteUnverified, NoteProbe:
		return isakmp.NotifyType(n.Type).String()
	case NotePayload:
		return isakmp.PayloadType(n.Type).String()
	case NoteUnreadable:
		if n.Type == 0 {
			return "the rest of the message"
		}
		return isakmp.PayloadType(n.Type).String()
	case NoteRepeat:
		return isakmp.Exchange(n.Type).String()
	case NoteOtherDelete:
		return fmt.Sprintf("protocol %d", n.Type)
	default:
		return ""
	}
}

// Closed is an SA's last event. The driver removes its cookies.
type Closed struct{ Why Reason }

func (Send) event()           {}
func (Authenticated) event()  {}
func (Fresh) event()          {}
func (ChildReceiving) event() {}
func (ChildSending) event()   {}
func (ChildAsked) event()     {}
func (ChildFailed) event()    {}
func (ChildDeleted) event()   {}
func (InitialContact) event() {}
func (Alive) event()          {}
func (Note) event()           {}
func (Closed) event()         {}

// Peer is what phase 1 taught about the other end.
type Peer struct {
	Cookies     Cookies
	Suite       Suite
	Auth        AuthMethod
	PSK         string   // name of the PSK that verified, from PSK.Name; "" with a certificate
	Cert        string   // name of the certificate, from PeerCert.Name; "" with a PSK
	Fingerprint [32]byte // of the certificate
	Chain       [][]byte // all certificates that it sent, as DER; nil with a PSK
	Group       string   // user group that the PSK or the certificate is bound to, "" for any
	ID          []byte   // body of its identification payload (RFC 2407, section 4.6.2)
	Kind        ClientKind
	NATT        NATTVersion // NATTNone: no NAT-T vendor ID in common
	BehindNA    bool        // the peer's address is translated, by its own NAT-D
	LocalNAT    bool        // our address is translated
	Encap       bool        // ESP goes in UDP: a NAT was found or feigned
	DPD         bool        // it offered RFC 3706
	Fragments   bool        // it takes messages in fragments
	Lifetime    time.Duration
}

// Cookies names an ISAKMP SA: the initiator's cookie and the responder's.
type Cookies struct{ Initiator, Responder [8]byte }

// Child is a pair of ESP SAs that a Quick Mode agreed on. The driver owns it:
// it outlives the ISAKMP SA.
type Child struct {
	InSPI, OutSPI uint32
	Suite         ESPSuite
	In, Out       ChildKeys
	Encap         bool          // ESP in UDP
	Lifetime      time.Duration // agreed, without grace
	Kilobytes     uint64        // agreed, 0: none
	LocalPort     uint16        // our inner UDP port, from our ID; 1701 in practice
	PeerPort      uint16        // peer's inner UDP port; 0: any
	Initiator     bool          // we began this Quick Mode
	MessageID     uint32
	IDi, IDr      []byte // bodies of IDci and IDcr, to negotiate the successor
	PeerNATOA     []byte // body of the peer's NAT-OAi, nil if none
	LocalID       netip.Addr
}

// ChildKeys are one direction's keys. For AEAD suites Auth is empty and Enc
// ends in the four bytes of salt (RFC 4106, section 8.1).
type ChildKeys struct{ Enc, Auth secret.Bytes }
