package isakmp

import "fmt"

// PayloadType is an ISAKMP payload number (RFC 2408, section 3.1, and the
// IANA registry of ISAKMP payload types).
type PayloadType uint8

// Payload types. The Draft forms are the private-use numbers of
// draft-ietf-ipsec-nat-t-ike-02 and -03.
const (
	PayloadNone        PayloadType = 0
	PayloadSA          PayloadType = 1
	PayloadProposal    PayloadType = 2
	PayloadTransform   PayloadType = 3
	PayloadKE          PayloadType = 4
	PayloadID          PayloadType = 5
	PayloadCert        PayloadType = 6
	PayloadCertRequest PayloadType = 7
	PayloadHash        PayloadType = 8
	PayloadSignature   PayloadType = 9
	PayloadNonce       PayloadType = 10
	PayloadNotify      PayloadType = 11
	PayloadDelete      PayloadType = 12
	PayloadVendorID    PayloadType = 13
	PayloadAttributes  PayloadType = 14
	PayloadNATD        PayloadType = 20
	PayloadNATOA       PayloadType = 21
	PayloadNATDDraft   PayloadType = 130
	PayloadNATOADraft  PayloadType = 131
	PayloadFragment    PayloadType = 132 // of Cisco and Microsoft
)

var payloadNames = map[PayloadType]string{
	PayloadNone: "NONE", PayloadSA: "SA", PayloadProposal: "P", PayloadTransform: "T",
	PayloadKE: "KE", PayloadID: "ID", PayloadCert: "CERT", PayloadCertRequest: "CR",
	PayloadHash: "HASH", PayloadSignature: "SIG", PayloadNonce: "NONCE", PayloadNotify: "N",
	PayloadDelete: "D", PayloadVendorID: "VID", PayloadAttributes: "ATTR",
	PayloadNATD: "NAT-D", PayloadNATOA: "NAT-OA",
	PayloadNATDDraft: "NAT-D(draft)", PayloadNATOADraft: "NAT-OA(draft)",
	PayloadFragment: "FRAG",
}

// String returns the short name that the RFCs use.
func (t PayloadType) String() string {
	if s, ok := payloadNames[t]; ok {
		return s
	}
	return fmt.Sprintf("payload %d", uint8(t))
}

// Exchange is an ISAKMP exchange type (RFC 2408, section 3.1; RFC 2409,
// appendix A).
type Exchange uint8

// Exchange types. Main Mode is ISAKMP's Identity Protection exchange.
const (
	ExchangeBase          Exchange = 1
	ExchangeMain          Exchange = 2
	ExchangeAuthOnly      Exchange = 3
	ExchangeAggressive    Exchange = 4
	ExchangeInformational Exchange = 5
	ExchangeTransaction   Exchange = 6
	ExchangeQuick         Exchange = 32
	ExchangeNewGroup      Exchange = 33
)

var exchangeNames = map[Exchange]string{
	ExchangeBase: "Base", ExchangeMain: "Main Mode", ExchangeAuthOnly: "Authentication Only",
	ExchangeAggressive: "Aggressive Mode", ExchangeInformational: "Informational",
	ExchangeTransaction: "Transaction", ExchangeQuick: "Quick Mode", ExchangeNewGroup: "New Group Mode",
}

// String names the exchange.
func (e Exchange) String() string {
	if s, ok := exchangeNames[e]; ok {
		return s
	}
	return fmt.Sprintf("exchange %d", uint8(e))
}

// Flags are the flag bits of a header (RFC 2408, section 3.1).
type Flags uint8

// Header flags.
const (
	FlagEncryption Flags = 1 << iota
	FlagCommit
	FlagAuthOnly
)

// Protocol is a security protocol identifier (RFC 2407, section 4.4.1).
type Protocol uint8

// Protocol identifiers.
const (
	ProtocolISAKMP Protocol = 1
	ProtocolAH     Protocol = 2
	ProtocolESP    Protocol = 3
	ProtocolIPCOMP Protocol = 4
)

// IDType is the type of an identification payload (RFC 2407, section 4.6.2.1).
type IDType uint8

// Identification types.
const (
	IDIPv4Addr   IDType = 1
	IDFQDN       IDType = 2
	IDUserFQDN   IDType = 3
	IDIPv4Subnet IDType = 4
	IDIPv6Addr   IDType = 5
	IDIPv6Subnet IDType = 6
	IDDERASN1DN  IDType = 9
	IDKeyID      IDType = 11
)

// DOIIPsec is the IPsec domain of interpretation, and SituationIdentityOnly the
// only one of its situations that is in use (RFC 2407, sections 4.1 and 4.2).
const (
	DOIIPsec              uint32 = 1
	SituationIdentityOnly uint32 = 1
)

// Transform identifiers: KEY_IKE (RFC 2407, section 4.4.2) and those of ESP
// (section 4.4.4; RFC 3602; RFC 4106).
const (
	TransformKeyIKE   uint8 = 1
	TransformESPDES   uint8 = 2
	TransformESP3DES  uint8 = 3
	TransformESPNull  uint8 = 11
	TransformESPAES   uint8 = 12
	TransformESPGCM16 uint8 = 20
)
