package l2tp

import "fmt"

// sessionState is a state of an incoming call, at the LAC (RFC 2661, section
// 7.4.1) or at the LNS (section 7.4.2).
type sessionState uint8

const (
	sessionIdle sessionState = iota
	waitTunnel
	waitReply
	waitConnect
	sessionEstablished
	sessionStates
)

// String returns the RFC's name of the state.
func (s sessionState) String() string {
	names := [...]string{"idle", "wait-tunnel", "wait-reply", "wait-connect", "established"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("session state %d", uint8(s))
}

// sessionEvent is an event of a call.
type sessionEvent uint8

const (
	callIncoming sessionEvent = iota // at the LAC: a call to place
	callTunnelUp                     // tunnel-open
	icrqGood                         // ICRQ, acceptable
	icrqBad                          // ICRQ, not acceptable
	icrpGood                         // ICRP, acceptable
	icrpBad                          // ICRP, not acceptable
	iccnGood                         // ICCN, acceptable
	iccnBad                          // ICCN, not acceptable
	cdnReceived                      // CDN
	callClose                        // local close request, or a dropped bearer
	sessionEvents
)

// sessionAction is an action of a call.
type sessionAction uint8

const (
	sessionNothing sessionAction = iota
	openTunnel                   // initiate local tunnel open
	sendICRQ
	sendICRP
	sendICCN
	sendCDN
	sessionClean // clean up
	sessionIsUp  // prepare for data
)

// sessionTransition is one cell of the table. Its zero value means that the event
// is ignored.
type sessionTransition struct {
	possible bool
	next     sessionState
	actions  [2]sessionAction
}

func sessionTo(next sessionState, actions ...sessionAction) sessionTransition {
	t := sessionTransition{possible: true, next: next}
	copy(t.actions[:], actions)
	return t
}

// lacTable is the table of RFC 2661, section 7.4.1.
var lacTable = [sessionStates][sessionEvents]sessionTransition{
	sessionIdle: {
		callIncoming: sessionTo(waitTunnel, openTunnel),
		icrpGood:     sessionTo(sessionIdle, sessionClean),
		icrpBad:      sessionTo(sessionIdle, sessionClean),
		iccnGood:     sessionTo(sessionIdle, sessionClean),
		iccnBad:      sessionTo(sessionIdle, sessionClean),
		cdnReceived:  sessionTo(sessionIdle, sessionClean),
		// The RFC has no row for an ICRQ in idle: a LAC refuses incoming calls.
		icrqGood: sessionTo(sessionIdle, sendCDN, sessionClean),
		icrqBad:  sessionTo(sessionIdle, sendCDN, sessionClean),
	},
	waitTunnel: {
		callTunnelUp: sessionTo(waitReply, sendICRQ),
		callClose:    sessionTo(sessionIdle, sessionClean),
	},
	waitReply: {
		icrpGood:    sessionTo(sessionEstablished, sendICCN, sessionIsUp),
		icrpBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		icrqGood:    sessionTo(sessionIdle, sendCDN, sessionClean),
		icrqBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		iccnGood:    sessionTo(sessionIdle, sessionClean),
		iccnBad:     sessionTo(sessionIdle, sessionClean),
		cdnReceived: sessionTo(sessionIdle, sessionClean),
		callClose:   sessionTo(sessionIdle, sendCDN, sessionClean),
	},
	sessionEstablished: {
		icrqGood:    sessionTo(sessionIdle, sendCDN, sessionClean),
		icrqBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		icrpGood:    sessionTo(sessionIdle, sendCDN, sessionClean),
		icrpBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		iccnGood:    sessionTo(sessionIdle, sendCDN, sessionClean),
		iccnBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		cdnReceived: sessionTo(sessionIdle, sessionClean),
		callClose:   sessionTo(sessionIdle, sendCDN, sessionClean),
	},
}

// lnsTable is the table of RFC 2661, section 7.4.2.
var lnsTable = [sessionStates][sessionEvents]sessionTransition{
	sessionIdle: {
		icrqGood:    sessionTo(waitConnect, sendICRP),
		icrqBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		icrpGood:    sessionTo(sessionIdle, sendCDN, sessionClean),
		icrpBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		iccnGood:    sessionTo(sessionIdle, sessionClean),
		iccnBad:     sessionTo(sessionIdle, sessionClean),
		cdnReceived: sessionTo(sessionIdle, sessionClean),
	},
	waitConnect: {
		iccnGood:    sessionTo(sessionEstablished, sessionIsUp),
		iccnBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		icrqGood:    sessionTo(sessionIdle, sendCDN, sessionClean),
		icrqBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		icrpGood:    sessionTo(sessionIdle, sendCDN, sessionClean),
		icrpBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		cdnReceived: sessionTo(sessionIdle, sessionClean),
		callClose:   sessionTo(sessionIdle, sendCDN, sessionClean),
	},
	sessionEstablished: {
		icrqGood:    sessionTo(sessionIdle, sendCDN, sessionClean),
		icrqBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		icrpGood:    sessionTo(sessionIdle, sendCDN, sessionClean),
		icrpBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		iccnGood:    sessionTo(sessionIdle, sendCDN, sessionClean),
		iccnBad:     sessionTo(sessionIdle, sendCDN, sessionClean),
		cdnReceived: sessionTo(sessionIdle, sessionClean),
		callClose:   sessionTo(sessionIdle, sendCDN, sessionClean),
	},
}
