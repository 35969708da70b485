package l2tp

import "fmt"

// Result is why a session or a tunnel ended: the Result Code AVP of CDN and
// StopCCN (RFC 2661, section 4.4.2).
type Result struct {
	Code    ResultCode
	Error   ErrorCode
	Message string // if it comes from a peer, use it only as a log field
}

// ResultCode is the result code. Its meaning depends on the message. 0 means that
// no message announced the end.
type ResultCode uint16

// Result codes of StopCCN.
const (
	StopRequest       ResultCode = 1 // general request to clear the control connection
	StopError         ResultCode = 2 // general error: see the error code
	StopDuplicate     ResultCode = 3 // control channel already exists
	StopNotAuthorized ResultCode = 4 // requester is not authorized to establish a control channel
	StopVersion       ResultCode = 5 // protocol version not supported
	StopShutdown      ResultCode = 6 // requester is being shut down
	StopFSM           ResultCode = 7 // finite state machine error
)

// Result codes of CDN.
const (
	CallCarrierLost  ResultCode = 1  // call disconnected due to loss of carrier
	CallError        ResultCode = 2  // disconnected for the reason in the error code
	CallAdmin        ResultCode = 3  // disconnected for administrative reasons
	CallNoResources  ResultCode = 4  // appropriate facilities not available, temporarily
	CallNoFacilities ResultCode = 5  // appropriate facilities not available, permanently
	CallBadNumber    ResultCode = 6  // invalid destination
	CallNoCarrier    ResultCode = 7  // no carrier detected
	CallBusy         ResultCode = 8  // busy signal
	CallNoDialTone   ResultCode = 9  // no dial tone
	CallTimeout      ResultCode = 10 // not established within the time allotted
	CallNoFraming    ResultCode = 11 // no appropriate framing detected
)

// ErrorCode is the general error code.
type ErrorCode uint16

// General error codes.
const (
	ErrorNone       ErrorCode = 0
	ErrorNoTunnel   ErrorCode = 1 // no control connection exists yet for this pair
	ErrorLength     ErrorCode = 2 // length is wrong
	ErrorValue      ErrorCode = 3 // a field was out of range, or a reserved one not zero
	ErrorResources  ErrorCode = 4 // insufficient resources
	ErrorSession    ErrorCode = 5 // the Session ID is invalid in this context
	ErrorVendor     ErrorCode = 6 // a vendor-specific error in the LAC
	ErrorTryAnother ErrorCode = 7 // try another LNS
	ErrorUnknownAVP ErrorCode = 8 // an unknown AVP with the M bit
)

var stopText = [...]string{
	0:                 "no message",
	StopRequest:       "general request",
	StopError:         "general error",
	StopDuplicate:     "control channel already exists",
	StopNotAuthorized: "not authorized",
	StopVersion:       "protocol version not supported",
	StopShutdown:      "shutting down",
	StopFSM:           "state machine error",
}

var callText = [...]string{
	0:                "no message",
	CallCarrierLost:  "lost carrier",
	CallError:        "general error",
	CallAdmin:        "administrative reasons",
	CallNoResources:  "no facilities for now",
	CallNoFacilities: "no such facilities",
	CallBadNumber:    "invalid destination",
	CallNoCarrier:    "no carrier",
	CallBusy:         "busy",
	CallNoDialTone:   "no dial tone",
	CallTimeout:      "not established in time",
	CallNoFraming:    "no framing",
}

var errorText = [...]string{
	ErrorNone:       "no error",
	ErrorNoTunnel:   "no control connection yet",
	ErrorLength:     "wrong length",
	ErrorValue:      "value out of range",
	ErrorResources:  "insufficient resources",
	ErrorSession:    "invalid session id",
	ErrorVendor:     "vendor-specific error",
	ErrorTryAnother: "try another LNS",
	ErrorUnknownAVP: "unknown mandatory AVP",
}

// StopText describes the code as a result code of StopCCN.
func (c ResultCode) StopText() string {
	if int(c) < len(stopText) {
		return stopText[c]
	}
	return fmt.Sprintf("result %d", uint16(c))
}

// CallText describes the code as a result code of CDN.
func (c ResultCode) CallText() string {
	if int(c) < len(callText) {
		return callText[c]
	}
	return fmt.Sprintf("result %d", uint16(c))
}

// String describes the error code.
func (e ErrorCode) String() string {
	if int(e) < len(errorText) {
		return errorText[e]
	}
	return fmt.Sprintf("error %d", uint16(e))
}
