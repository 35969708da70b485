package ike

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/secret"
)

// Path is where a message came from and where it arrived. For a message that
// leaves it is where it goes to and where it is sent from.
type Path struct {
	Local, Remote netip.AddrPort

	// Marker says that the path uses the NAT-T port: the driver removes the
	// four-zero non-ESP marker from messages that arrive and adds it to those that
	// leave (RFC 3948, section 2.2).
	Marker bool
}

// Event is what an SA tells its driver. Drain them after every call.
type Event interface{ event() }

// Send asks the driver to send one ISAKMP message, without non-ESP marker.
type Send struct {
	Path Path
	Data []byte // valid until the next call into the SA
}

// Authenticated says that phase 1 is complete and the peer proved that it knows
// the secret. It comes once, before any child.
type Authenticated struct {
	Path Path
	Peer Peer
}

// Fresh says that a verified message that was no replay came over Path. The driver
// may move the peer's endpoint there.
type Fresh struct{ Path Path }

// ChildReceiving says that a Quick Mode is agreed and its inbound SA must be ready
// before the next packet. As responder it comes before the Send of message 2, as
// initiator with message 3.
type ChildReceiving struct{ Child Child }

// ChildSending says that the peer, too, has the child of this inbound SPI, because
// message 3 verified. As initiator it only says that message 3 was sent, which may
// be lost or late. A driver that has an older child keeps sending on it until it
// sees the peer use this one, or until the peer has not asked for message 3 for
// some seconds. ChildAsked tells when the peer asks.
type ChildSending struct{ InSPI uint32 }

// ChildAsked says, as initiator, that the peer sent message 2 once more because it
// had not received message 3, and that message 3 was sent again.
type ChildAsked struct{ InSPI uint32 }

// ChildFailed says that a Quick Mode ended without a child. The driver may release
// InSPI. Why is one of the Failure values.
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

// InitialContact says that the peer claims to have no other SA. By itself it
// closes nothing.
type InitialContact struct{}

// Alive says that the peer answered a Probe, or sent a probe itself.
type Alive struct{}

// Note is a decision that changes nothing but deserves a log line or a counter: an
// unknown notify, an ignored payload, a repeated request.
type Note struct {
	Kind NoteKind
	Type uint16 // notify type or payload type, where the kind has one
}

// What names the notify, the payload or the exchange that a note is about. It is
// "" if the note is about none.
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

// Peer is what phase 1 told about the other end.
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
	BehindNA    bool        // the peer's address is translated, as its own NAT-D shows
	LocalNAT    bool        // our address is translated
	Encap       bool        // ESP goes in UDP, because a NAT was found or feigned
	DPD         bool        // it offered dead peer detection (RFC 3706)
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
	Protocol      uint8         // what ESP carries: UDP, or what Env.Carries allowed, without ports
	LocalPort     uint16        // our inner UDP port, from our ID; 1701 in practice
	PeerPort      uint16        // peer's inner UDP port; 0: any
	Initiator     bool          // we began this Quick Mode
	MessageID     uint32
	IDi, IDr      []byte // bodies of IDci and IDcr, with which to negotiate the successor
	PeerNATOA     []byte // body of the peer's NAT-OAi, nil if none
	LocalID       netip.Addr
}

// ChildKeys are one direction's keys. For AEAD suites Auth is empty and Enc ends
// in the four bytes of salt (RFC 4106, section 8.1).
type ChildKeys struct{ Enc, Auth secret.Bytes }
