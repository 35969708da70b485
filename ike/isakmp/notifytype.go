package isakmp

import "fmt"

// NotifyType is a notify message type (RFC 2408, section 3.14.1; RFC 2407,
// section 4.6.3; RFC 3706, section 6.2).
type NotifyType uint16

// Notify message types. Those below 16384 report errors.
const (
	NotifyInvalidPayloadType    NotifyType = 1
	NotifyDOINotSupported       NotifyType = 2
	NotifySituationNotSupported NotifyType = 3
	NotifyInvalidCookie         NotifyType = 4
	NotifyInvalidMajorVersion   NotifyType = 5
	NotifyInvalidMinorVersion   NotifyType = 6
	NotifyInvalidExchangeType   NotifyType = 7
	NotifyInvalidFlags          NotifyType = 8
	NotifyInvalidMessageID      NotifyType = 9
	NotifyInvalidProtocolID     NotifyType = 10
	NotifyInvalidSPI            NotifyType = 11
	NotifyInvalidTransformID    NotifyType = 12
	NotifyAttributesUnsupported NotifyType = 13
	NotifyNoProposalChosen      NotifyType = 14
	NotifyBadProposalSyntax     NotifyType = 15
	NotifyPayloadMalformed      NotifyType = 16
	NotifyInvalidKeyInformation NotifyType = 17
	NotifyInvalidIDInformation  NotifyType = 18
	NotifyInvalidCertificate    NotifyType = 20
	NotifyInvalidHash           NotifyType = 23
	NotifyAuthenticationFailed  NotifyType = 24
	NotifyInvalidSignature      NotifyType = 25
	NotifyConnected             NotifyType = 16384
	NotifyResponderLifetime     NotifyType = 24576
	NotifyReplayStatus          NotifyType = 24577
	NotifyInitialContact        NotifyType = 24578
	NotifyRUThere               NotifyType = 36136
	NotifyRUThereAck            NotifyType = 36137
)

var notifyNames = map[NotifyType]string{
	NotifyInvalidPayloadType: "INVALID-PAYLOAD-TYPE", NotifyDOINotSupported: "DOI-NOT-SUPPORTED",
	NotifySituationNotSupported: "SITUATION-NOT-SUPPORTED", NotifyInvalidCookie: "INVALID-COOKIE",
	NotifyInvalidMajorVersion: "INVALID-MAJOR-VERSION", NotifyInvalidMinorVersion: "INVALID-MINOR-VERSION",
	NotifyInvalidExchangeType: "INVALID-EXCHANGE-TYPE", NotifyInvalidFlags: "INVALID-FLAGS",
	NotifyInvalidMessageID: "INVALID-MESSAGE-ID", NotifyInvalidProtocolID: "INVALID-PROTOCOL-ID",
	NotifyInvalidSPI: "INVALID-SPI", NotifyInvalidTransformID: "INVALID-TRANSFORM-ID",
	NotifyAttributesUnsupported: "ATTRIBUTES-NOT-SUPPORTED", NotifyNoProposalChosen: "NO-PROPOSAL-CHOSEN",
	NotifyBadProposalSyntax: "BAD-PROPOSAL-SYNTAX", NotifyPayloadMalformed: "PAYLOAD-MALFORMED",
	NotifyInvalidKeyInformation: "INVALID-KEY-INFORMATION", NotifyInvalidIDInformation: "INVALID-ID-INFORMATION",
	NotifyInvalidHash: "INVALID-HASH-INFORMATION", NotifyAuthenticationFailed: "AUTHENTICATION-FAILED",
	NotifyInvalidCertificate: "INVALID-CERTIFICATE", NotifyInvalidSignature: "INVALID-SIGNATURE",
	NotifyConnected: "CONNECTED", NotifyResponderLifetime: "RESPONDER-LIFETIME",
	NotifyReplayStatus: "REPLAY-STATUS", NotifyInitialContact: "INITIAL-CONTACT",
	NotifyRUThere: "R-U-THERE", NotifyRUThereAck: "R-U-THERE-ACK",
}

// String returns the name that the RFCs use.
func (t NotifyType) String() string {
	if s, ok := notifyNames[t]; ok {
		return s
	}
	return fmt.Sprintf("notify %d", uint16(t))
}

// IsError reports whether the type is one of the error types (RFC 2408,
// section 3.14.1: 1 to 16383, private errors included).
func (t NotifyType) IsError() bool { return t > 0 && t < 16384 }
