package session

import (
	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ppp"
)

// CauseOf maps a link's end to Acct-Terminate-Cause (RFC 2866, section 5.10).
func CauseOf(r ppp.Reason) auth.Cause {
	switch r {
	case ppp.ReasonAdmin:
		return auth.AdminReset
	case ppp.ReasonServerStop:
		return auth.AdminReboot
	case ppp.ReasonIdleTimeout:
		return auth.IdleTimeout
	case ppp.ReasonQuota:
		return auth.NASRequest // RFC 2866, section 5.10: "NAS ended session for a non-error reason not otherwise listed"
	case ppp.ReasonSessionTimeout:
		return auth.SessionTimeout
	case ppp.ReasonReplaced:
		return auth.NASRequest
	case ppp.ReasonPreempted: // "NAS ended session in order to allocate the port to a higher priority use"
		return auth.PortPreempted
	case ppp.ReasonPeerTerminated, ppp.ReasonUserRequest:
		return auth.UserRequest
	case ppp.ReasonEchoTimeout, ppp.ReasonNoAnswer, ppp.ReasonLowerLayer:
		return auth.LostCarrier
	case ppp.ReasonInternal:
		return auth.NASError
	case ppp.ReasonNoAddress:
		return auth.ServiceUnavail
	case ppp.ReasonAuthFailed, ppp.ReasonAuthRefused, ppp.ReasonAuthTimeout, ppp.ReasonServerUnverified, ppp.ReasonUnproven,
		ppp.ReasonNegotiation, ppp.ReasonSetupTimeout, ppp.ReasonNoNetwork, ppp.ReasonLoop, ppp.ReasonRejected:
		return auth.UserError
	}
	return auth.NASError
}
