package l2tp

import "fmt"

// attribute is an AVP's Attribute Type, of vendor 0.
type attribute uint16

const (
	avpMessageType        attribute = 0
	avpResultCode         attribute = 1
	avpProtocolVersion    attribute = 2
	avpFraming            attribute = 3
	avpBearer             attribute = 4
	avpTieBreaker         attribute = 5
	avpFirmware           attribute = 6
	avpHostName           attribute = 7
	avpVendorName         attribute = 8
	avpAssignedTunnel     attribute = 9
	avpWindow             attribute = 10
	avpChallenge          attribute = 11
	avpCauseCode          attribute = 12
	avpChallengeResponse  attribute = 13
	avpAssignedSession    attribute = 14
	avpCallSerial         attribute = 15
	avpMinimumBPS         attribute = 16
	avpMaximumBPS         attribute = 17
	avpBearerType         attribute = 18
	avpFramingType        attribute = 19
	avpCalledNumber       attribute = 21
	avpCallingNumber      attribute = 22
	avpSubAddress         attribute = 23
	avpTxSpeed            attribute = 24
	avpPhysicalChannel    attribute = 25
	avpInitialLCP         attribute = 26
	avpLastSentLCP        attribute = 27
	avpLastReceivedLCP    attribute = 28
	avpProxyAuthType      attribute = 29
	avpProxyAuthName      attribute = 30
	avpProxyAuthChallenge attribute = 31
	avpProxyAuthID        attribute = 32
	avpProxyAuthResponse  attribute = 33
	avpCallErrors         attribute = 34
	avpACCM               attribute = 35
	avpRandomVector       attribute = 36
	avpPrivateGroup       attribute = 37
	avpRxSpeed            attribute = 38
	avpSequencing         attribute = 39
	avpCount                        = 40
)

// avpRule is what RFC 2661 says about one AVP: the M bit with which it is sent,
// whether its H bit may be set, and the length of its value.
type avpRule struct {
	name      string
	mandatory bool
	hideable  bool
	min, max  int
	section   string
}

// maxValue is the longest value that an AVP's 10-bit length allows after its
// header.
const (
	avpHeaderLen = 6
	maxAVP       = 0x3ff
	maxValue     = maxAVP - avpHeaderLen
)

// avpRules holds the rules of RFC 2661, sections 4.4.1 to 4.4.6. An entry with an
// empty name is a number that the RFC does not assign.
var avpRules = [avpCount]avpRule{
	avpMessageType:  {"Message Type", true, false, 2, 2, "4.4.1"},
	avpRandomVector: {"Random Vector", true, false, 1, maxValue, "4.4.1"},

	avpResultCode: {"Result Code", true, false, 2, maxValue, "4.4.2"},

	avpProtocolVersion:   {"Protocol Version", true, false, 2, 2, "4.4.3"},
	avpFraming:           {"Framing Capabilities", true, true, 4, 4, "4.4.3"},
	avpBearer:            {"Bearer Capabilities", true, true, 4, 4, "4.4.3"},
	avpTieBreaker:        {"Tie Breaker", false, false, 8, 8, "4.4.3"},
	avpFirmware:          {"Firmware Revision", false, true, 2, 2, "4.4.3"},
	avpHostName:          {"Host Name", true, false, 1, maxValue, "4.4.3"},
	avpVendorName:        {"Vendor Name", false, true, 0, maxValue, "4.4.3"},
	avpAssignedTunnel:    {"Assigned Tunnel ID", true, true, 2, 2, "4.4.3"},
	avpWindow:            {"Receive Window Size", true, false, 2, 2, "4.4.3"},
	avpChallenge:         {"Challenge", true, true, 1, maxValue, "4.4.3"},
	avpChallengeResponse: {"Challenge Response", true, true, 16, 16, "4.4.3"},

	avpCauseCode:       {"Q.931 Cause Code", true, false, 3, maxValue, "4.4.4"},
	avpAssignedSession: {"Assigned Session ID", true, true, 2, 2, "4.4.4"},
	avpCallSerial:      {"Call Serial Number", true, true, 4, 4, "4.4.4"},
	avpMinimumBPS:      {"Minimum BPS", true, true, 4, 4, "4.4.4"},
	avpMaximumBPS:      {"Maximum BPS", true, true, 4, 4, "4.4.4"},
	avpBearerType:      {"Bearer Type", true, true, 4, 4, "4.4.4"},
	avpFramingType:     {"Framing Type", true, true, 4, 4, "4.4.4"},
	avpCalledNumber:    {"Called Number", true, true, 0, maxValue, "4.4.4"},
	avpCallingNumber:   {"Calling Number", true, true, 0, maxValue, "4.4.4"},
	avpSubAddress:      {"Sub-Address", true, true, 0, maxValue, "4.4.4"},
	avpTxSpeed:         {"(Tx) Connect Speed BPS", true, true, 4, 4, "4.4.4"},
	avpRxSpeed:         {"Rx Connect Speed BPS", false, true, 4, 4, "4.4.4"},
	avpPhysicalChannel: {"Physical Channel ID", false, true, 4, 4, "4.4.4"},
	avpPrivateGroup:    {"Private Group ID", false, true, 0, maxValue, "4.4.4"},
	avpSequencing:      {"Sequencing Required", true, false, 0, 0, "4.4.4"},

	avpInitialLCP:         {"Initial Received LCP CONFREQ", false, true, 0, maxValue, "4.4.5"},
	avpLastSentLCP:        {"Last Sent LCP CONFREQ", false, true, 0, maxValue, "4.4.5"},
	avpLastReceivedLCP:    {"Last Received LCP CONFREQ", false, true, 0, maxValue, "4.4.5"},
	avpProxyAuthType:      {"Proxy Authen Type", false, true, 2, 2, "4.4.5"},
	avpProxyAuthName:      {"Proxy Authen Name", false, true, 0, maxValue, "4.4.5"},
	avpProxyAuthChallenge: {"Proxy Authen Challenge", false, true, 1, maxValue, "4.4.5"},
	avpProxyAuthID:        {"Proxy Authen ID", false, true, 2, 2, "4.4.5"},
	avpProxyAuthResponse:  {"Proxy Authen Response", false, true, 0, maxValue, "4.4.5"},

	avpCallErrors: {"Call Errors", true, true, 26, 26, "4.4.6"},
	avpACCM:       {"ACCM", true, true, 10, 10, "4.4.6"},
}

// known reports whether RFC 2661 assigns this number.
func (a attribute) known() bool { return a < avpCount && avpRules[a].name != "" }

// String returns the RFC's name of the AVP.
func (a attribute) String() string {
	if a.known() {
		return avpRules[a].name
	}
	return fmt.Sprintf("AVP %d", uint16(a))
}

// messageType is a control message's type (RFC 2661, section 3.2).
type messageType uint16

const (
	sccrq   messageType = 1
	sccrp   messageType = 2
	scccn   messageType = 3
	stopccn messageType = 4
	hello   messageType = 6
	ocrq    messageType = 7
	ocrp    messageType = 8
	occn    messageType = 9
	icrq    messageType = 10
	icrp    messageType = 11
	iccn    messageType = 12
	cdn     messageType = 14
	wen     messageType = 15
	sli     messageType = 16
)

// messageRule names a message, says whether it belongs to a session or to the
// tunnel, and which AVP we need in it. RFC 2661, section 6, requires more, and
// clients leave some of it out.
type messageRule struct {
	name    string
	section string
	call    bool
	need    attribute // 0: nothing
}

var messageRules = map[messageType]messageRule{
	sccrq:   {"SCCRQ", "6.1", false, avpAssignedTunnel},
	sccrp:   {"SCCRP", "6.2", false, avpAssignedTunnel},
	scccn:   {"SCCCN", "6.3", false, 0},
	stopccn: {"StopCCN", "6.4", false, 0},
	hello:   {"HELLO", "6.5", false, 0},
	icrq:    {"ICRQ", "6.6", true, avpAssignedSession},
	icrp:    {"ICRP", "6.7", true, avpAssignedSession},
	iccn:    {"ICCN", "6.8", true, 0},
	ocrq:    {"OCRQ", "6.9", true, 0},
	ocrp:    {"OCRP", "6.10", true, 0},
	occn:    {"OCCN", "6.11", true, 0},
	cdn:     {"CDN", "6.12", true, 0},
	wen:     {"WEN", "6.13", true, 0},
	sli:     {"SLI", "6.14", true, avpACCM},
}

// String returns the RFC's name of the message.
func (m messageType) String() string {
	if r, ok := messageRules[m]; ok {
		return r.name
	}
	return fmt.Sprintf("message %d", uint16(m))
}
