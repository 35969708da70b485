package ppp

import "fmt"

// Method is an authentication protocol.
type Method uint8

// The methods, in no order of preference: the order is in Config.Methods.
const (
	MethodPAP      Method = iota + 1 // RFC 1334, section 2
	MethodCHAP                       // RFC 1994, with MD5
	MethodMSCHAPv2                   // RFC 2759
	MethodEAP                        // RFC 3748; as client, EAP-MSCHAPv2
)

// String returns the method's configuration word.
func (m Method) String() string {
	switch m {
	case MethodPAP:
		return "pap"
	case MethodCHAP:
		return "chap"
	case MethodMSCHAPv2:
		return "mschapv2"
	case MethodEAP:
		return "eap"
	}
	return fmt.Sprintf("method %d", uint8(m))
}

// PeerAuth is whether a client demands that the server authenticates itself, too. RFC 1661,
// section 6.2: "There is no requirement that authentication be full-duplex or that the same
// protocol be used in both directions."
type PeerAuth uint8

// The values of PeerAuth.
const (
	PeerAuthNone     PeerAuth = iota
	PeerAuthAsked             // if it agrees to
	PeerAuthRequired          // or the link ends
)

// Reason is why a link ends.
type Reason uint8

// The reasons. Drivers pass those of the first group to Close; the link itself
// finds the others.
const (
	ReasonAdmin          Reason = iota + 1 // an operator closed the link, or a RADIUS Disconnect did
	ReasonServerStop                       // the server is shutting down
	ReasonIdleTimeout                      // no traffic
	ReasonSessionTimeout                   // the granted time is over
	ReasonReplaced                         // the same user connected again
	ReasonUserRequest                      // as client: the user hung up
	ReasonLowerLayer                       // the L2TP session or the IPsec SA ended
	ReasonNoAddress                        // there is no address left for the peer
	ReasonQuota                            // the user's traffic quota is used up
	ReasonPreempted                        // the peer's address is given to somebody who has it by name

	ReasonPeerTerminated   // a Terminate-Request came
	ReasonAuthFailed       // refused by us or, as client, by the server
	ReasonAuthRefused      // the peer accepts none of the methods that we offer
	ReasonAuthTimeout      // no response or no verdict came in time
	ReasonServerUnverified // as client: the server does not know our password
	ReasonUnproven         // as client: the server agreed to authenticate itself, and did not answer our challenge
	ReasonNoAnswer         // the peer answered nothing during LCP
	ReasonNegotiation      // LCP did not converge
	ReasonEchoTimeout      // an open link fell silent
	ReasonSetupTimeout     // not authenticated within Config.SetupTimeout
	ReasonNoNetwork        // every network protocol was refused, ended, or did not converge
	ReasonLoop             // the link is looped back: we receive our own packets
	ReasonRejected         // the peer rejects an indispensable part of PPP
	ReasonInternal         // no random bytes could be read
)

var reasonText = [...]string{
	ReasonAdmin:            "closed by the administrator",
	ReasonServerStop:       "server is stopping",
	ReasonIdleTimeout:      "idle timeout",
	ReasonSessionTimeout:   "session timeout",
	ReasonReplaced:         "replaced by a newer session",
	ReasonUserRequest:      "user request",
	ReasonLowerLayer:       "lower layer went down",
	ReasonNoAddress:        "no address is left for another client",
	ReasonQuota:            "traffic quota is used up",
	ReasonPreempted:        "the address is now another user's own",
	ReasonPeerTerminated:   "terminated by the peer",
	ReasonAuthFailed:       "authentication failed",
	ReasonAuthRefused:      "peer accepts no offered authentication method",
	ReasonAuthTimeout:      "authentication timed out",
	ReasonServerUnverified: "server could not prove that it knows the password",
	ReasonUnproven:         "the other end agreed to authenticate itself, and did not",
	ReasonNoAnswer:         "peer does not answer",
	ReasonNegotiation:      "LCP did not converge",
	ReasonEchoTimeout:      "peer stopped answering",
	ReasonSetupTimeout:     "setup took too long",
	ReasonNoNetwork:        "no network protocol could be agreed",
	ReasonLoop:             "link is looped back",
	ReasonRejected:         "peer rejects a required protocol or code",
	ReasonInternal:         "internal failure",
}

// String describes the reason in English.
func (r Reason) String() string {
	if int(r) < len(reasonText) && reasonText[r] != "" {
		return reasonText[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// NoteKind is what a Note is about.
type NoteKind uint8

// The kinds of Note.
const (
	NoteProtocolRejected         NoteKind = iota + 1 // we sent a Protocol-Reject for Protocol
	NotePeerRejected                                 // the peer sent a Protocol-Reject for Protocol
	NoteCodeRejected                                 // we sent a Code-Reject for Code in Protocol
	NoteOptionRejected                               // we rejected option Code of Protocol
	NoteOptionNaked                                  // we asked for another value of option Code of Protocol
	NoteMethodRefused                                // the peer refused the Method in Code
	NoteRenegotiated                                 // the peer restarted Protocol on an open link
	NoteIdentification                               // Text is the peer's LCP Identification
	NoteLoop                                         // a packet looks like one of our own, looped back
	NoteServerUnverified                             // as client: the server's proof was wrong
	NoteChangePassword                               // the peer tried in vain to change its password
	NoteBadAuthenticatorResponse                     // a verdict came without a usable "S=" string
	NoteDataForAck                                   // data came in place of the Ack of our request for Protocol
	NoteUncompressed                                 // the peer's history was lost too often, and it is not asked to compress again
)

var noteText = [...]string{
	NoteProtocolRejected:         "protocol rejected",
	NotePeerRejected:             "peer rejected a protocol",
	NoteCodeRejected:             "code rejected",
	NoteOptionRejected:           "option rejected",
	NoteOptionNaked:              "other option value asked for",
	NoteMethodRefused:            "peer refused an authentication method",
	NoteRenegotiated:             "peer renegotiates",
	NoteIdentification:           "peer identified itself",
	NoteLoop:                     "own packet came back",
	NoteServerUnverified:         "server's proof is wrong",
	NoteChangePassword:           "password change refused",
	NoteBadAuthenticatorResponse: "verdict without authenticator response",
	NoteDataForAck:               "data came instead of an acknowledgement",
	NoteUncompressed:             "too much is lost for compression from the peer",
}

// String describes the kind in English.
func (k NoteKind) String() string {
	if int(k) < len(noteText) && noteText[k] != "" {
		return noteText[k]
	}
	return fmt.Sprintf("note %d", uint8(k))
}
