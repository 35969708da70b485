package ppp

import "fmt"

// Method is an authentication protocol.
type Method uint8

// The methods, in no order of preference: Config.Methods has that. EAP will be
// the next.
const (
	MethodPAP      Method = iota + 1 // RFC 1334, section 2
	MethodCHAP                       // RFC 1994, with MD5
	MethodMSCHAPv2                   // RFC 2759
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
	}
	return fmt.Sprintf("method %d", uint8(m))
}

// ParseMethod returns the method that a configuration word names: "pap",
// "chap" or "mschapv2".
func ParseMethod(word string) (Method, error) {
	for m := MethodPAP; m <= MethodMSCHAPv2; m++ {
		if word == m.String() {
			return m, nil
		}
	}
	return 0, fmt.Errorf("ppp: unknown authentication method %q", word)
}

// Reason is why a link ends.
type Reason uint8

// The reasons. Drivers pass those of the first group to Close; the link itself
// finds the others.
const (
	ReasonAdmin          Reason = iota + 1 // an operator, or a RADIUS Disconnect
	ReasonServerStop                       // the server shuts down
	ReasonIdleTimeout                      // no traffic
	ReasonSessionTimeout                   // the granted time is over
	ReasonReplaced                         // the same user connected anew
	ReasonUserRequest                      // as client: the user hung up
	ReasonLowerLayer                       // the L2TP session or the IPsec SA went
	ReasonNoAddress                        // there is no address left for the peer

	ReasonPeerTerminated   // a Terminate-Request came
	ReasonAuthFailed       // refused: by us, or as client by the server
	ReasonAuthRefused      // the peer takes none of the methods that we offer
	ReasonAuthTimeout      // no response, or no verdict, in time
	ReasonServerUnverified // as client: the server does not know our password
	ReasonNoAnswer         // nothing came back during LCP
	ReasonNegotiation      // LCP did not converge
	ReasonEchoTimeout      // an open link fell silent
	ReasonSetupTimeout     // not authenticated within Config.SetupTimeout
	ReasonNoNetwork        // every network protocol was refused, ended, or did not converge
	ReasonLoop             // we hear ourselves
	ReasonRejected         // the peer rejects a part of PPP that we cannot do without
	ReasonInternal         // no randomness
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
	ReasonPeerTerminated:   "terminated by the peer",
	ReasonAuthFailed:       "authentication failed",
	ReasonAuthRefused:      "peer accepts no offered authentication method",
	ReasonAuthTimeout:      "authentication timed out",
	ReasonServerUnverified: "server could not prove that it knows the password",
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
	NoteMethodRefused                                // the peer refused an authentication method; Code is the Method
	NoteRenegotiated                                 // the peer restarted Protocol on an open link
	NoteIdentification                               // Text is the peer's LCP Identification
	NoteLoop                                         // a packet looks like our own come back
	NoteServerUnverified                             // as client: the server's proof was wrong
	NoteChangePassword                               // the peer tried to change its password, and may not
	NoteBadAuthenticatorResponse                     // a verdict came without a usable "S=" string
	NoteDataForAck                                   // data came in place of the Ack of our request for Protocol
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
}

// String describes the kind in English.
func (k NoteKind) String() string {
	if int(k) < len(noteText) && noteText[k] != "" {
		return noteText[k]
	}
	return fmt.Sprintf("note %d", uint8(k))
}
