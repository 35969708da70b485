package ike

import (
	"errors"
	"fmt"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// Errors that say why a packet was dropped or an order refused. None of them ends
// an SA.
var (
	ErrMalformed     = isakmp.ErrMalformed
	ErrTruncated     = isakmp.ErrTruncated
	ErrVersion       = errors.New("not IKE version 1")
	ErrUnexpected    = errors.New("message has no place in this state")
	ErrCookies       = errors.New("cookies of another SA")
	ErrReplay        = errors.New("message id was used before")
	ErrHash          = errors.New("message does not verify")
	ErrUndecryptable = errors.New("no pre-shared key fits")
	ErrTrials        = errors.New("too many messages that no pre-shared key fits")
	ErrKeyExchange   = errors.New("invalid public value")
	ErrNoProposal    = errors.New("no acceptable proposal")
	ErrBudget        = errors.New("answer would be larger than what was received")
	ErrLimit         = errors.New("too many exchanges under way")
	ErrNoSPI         = errors.New("no SPI left")
	ErrClosed        = errors.New("SA is closed")
	ErrCertificate   = errors.New("the peer's certificate is refused")
	ErrSignature     = errors.New("the peer's signature does not verify")
	ErrIdentity      = errors.New("the peer's certificate does not name what the peer identified itself as")
	ErrAggressive    = errors.New("Aggressive Mode is not allowed")
)

// NoProposal is the error for a first message without an acceptable transform.
// errors.Is finds ErrNoProposal in it.
type NoProposal struct {
	Offered []string     // all offers, each once, with numbers for what has no name; at most 32
	Auth    []AuthMethod // offered methods that the policy cannot do, at most 8

	// ByAuth says that a suite was acceptable, but no way in which the peer wants
	// to authenticate.
	ByAuth bool
}

// Error implements error.
func (e *NoProposal) Error() string {
	if len(e.Offered) == 0 {
		return fmt.Sprintf("%v: no proposal is one of phase 1", ErrNoProposal)
	}
	if e.ByAuth {
		return fmt.Sprintf("%v: the peer wants to authenticate by %v only, with %v", ErrNoProposal, e.Auth, e.Offered)
	}
	return fmt.Sprintf("%v among %v", ErrNoProposal, e.Offered)
}

// Unwrap returns ErrNoProposal.
func (e *NoProposal) Unwrap() error { return ErrNoProposal }

// Failure is why a Quick Mode ended without a child.
type Failure uint8

// Failures.
const (
	FailureNoProposal  Failure = iota + 1 // nothing acceptable was proposed, or was chosen
	FailureID                             // the identities are not UDP with L2TP's port
	FailureMalformed                      // a verified message did not make sense
	FailureKeyExchange                    // invalid public value for PFS
	FailureNoSPI                          // no inbound SPI left
	FailureRefused                        // the peer sent an error notify
	FailureTimeout                        // the peer fell silent
	FailureDeleted                        // one end deleted it before it was complete
	FailureClosed                         // the ISAKMP SA ended
)

// String names the failure.
func (f Failure) String() string {
	switch f {
	case FailureNoProposal:
		return "no acceptable proposal"
	case FailureID:
		return "unacceptable identities"
	case FailureMalformed:
		return "malformed"
	case FailureKeyExchange:
		return "invalid key exchange"
	case FailureNoSPI:
		return "no SPI left"
	case FailureRefused:
		return "refused by peer"
	case FailureTimeout:
		return "timeout"
	case FailureDeleted:
		return "deleted"
	case FailureClosed:
		return "phase 1 closed"
	default:
		return fmt.Sprintf("Failure(%d)", uint8(f))
	}
}

// Reason is why an SA closed. Drivers pass one to Close, too.
type Reason uint8

// Reasons.
const (
	ReasonExpired  Reason = iota + 1 // its lifetime is over
	ReasonDeleted                    // the peer deleted it
	ReasonTimeout                    // phase 1 did not complete in time
	ReasonRefused                    // phase 1 did not complete, and the peer said why
	ReasonDead                       // the peer does not answer probes
	ReasonInternal                   // no randomness
	ReasonLocal                      // the driver closed it
	ReasonReplaced                   // the driver closed it for a newer one
	ReasonShutdown                   // the driver closed it because the program ends
	ReasonNATTPort                   // message 4 sent the peer to the NAT-T port, and nothing arrived there
	ReasonWrongKey                   // in Aggressive Mode, the peer has another key and rejected our HASH_R
)

// String names the reason.
func (r Reason) String() string {
	switch r {
	case ReasonExpired:
		return "expired"
	case ReasonDeleted:
		return "deleted by peer"
	case ReasonTimeout:
		return "timeout"
	case ReasonRefused:
		return "refused by peer"
	case ReasonDead:
		return "peer is dead"
	case ReasonInternal:
		return "internal error"
	case ReasonLocal:
		return "closed"
	case ReasonReplaced:
		return "replaced"
	case ReasonShutdown:
		return "shutdown"
	case ReasonNATTPort:
		return "nothing came to the NAT traversal port"
	case ReasonWrongKey:
		return "the peer refused message 2: its pre-shared key is another"
	default:
		return fmt.Sprintf("Reason(%d)", uint8(r))
	}
}

// NoteKind is the subject of a Note.
type NoteKind uint8

// Kinds of notes.
const (
	NoteNotify      NoteKind = iota + 1 // a verified notify that changes nothing; Type is its type
	NoteUnverified                      // a notify in clear during phase 1; Type is its type
	NotePayload                         // an ignored payload; Type is its type
	NoteRepeat                          // a repeated request was answered again; Type is the exchange
	NoteOtherDelete                     // the peer deleted an SA that is not ours; Type is the protocol
	NoteProbe                           // a probe or its answer was out of sequence
	NoteUnreadable                      // an unneeded payload cannot be read; Type is its type, 0: the rest of the message
	NoteFragments                       // fragments were discarded: the rest of their message did not come
)

// String names the kind.
func (k NoteKind) String() string {
	switch k {
	case NoteNotify:
		return "notify"
	case NoteUnverified:
		return "unverified notify"
	case NotePayload:
		return "ignored payload"
	case NoteRepeat:
		return "repeated request"
	case NoteOtherDelete:
		return "delete of something else"
	case NoteProbe:
		return "probe out of sequence"
	case NoteUnreadable:
		return "unreadable payload"
	case NoteFragments:
		return "fragments of a message that was never complete"
	default:
		return fmt.Sprintf("NoteKind(%d)", uint8(k))
	}
}
