package l2tp

import "fmt"

// tunnelState is a state of the control connection (RFC 2661, section 7.2.1).
type tunnelState uint8

const (
	tunnelIdle tunnelState = iota
	waitCtlReply
	waitCtlConn
	tunnelEstablished
	tunnelStates
)

// String returns the RFC's name of the state.
func (s tunnelState) String() string {
	names := [...]string{"idle", "wait-ctl-reply", "wait-ctl-conn", "established"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("tunnel state %d", uint8(s))
}

// tunnelEvent is an event of the control connection.
type tunnelEvent uint8

const (
	tunnelOpen   tunnelEvent = iota // local open request
	sccrqGood                       // SCCRQ, acceptable
	sccrqBad                        // SCCRQ, not acceptable
	sccrpGood                       // SCCRP, acceptable
	sccrpBad                        // SCCRP, not acceptable
	scccnGood                       // SCCCN, acceptable
	scccnBad                        // SCCCN, not acceptable
	stopReceived                    // StopCCN
	tunnelClose                     // administrative close
	tunnelEvents
)

// tunnelAction is an action of the control connection.
type tunnelAction uint8

const (
	tunnelNothing tunnelAction = iota
	sendSCCRQ
	sendSCCRP
	sendSCCCN
	sendStopCCN
	tunnelClean // clean up
	tunnelIsUp  // send tunnel-open event to waiting sessions
)

// tunnelTransition is one cell of the table. Its zero value means that the event
// is ignored.
type tunnelTransition struct {
	possible bool
	next     tunnelState
	actions  [2]tunnelAction
}

func tunnelTo(next tunnelState, actions ...tunnelAction) tunnelTransition {
	t := tunnelTransition{possible: true, next: next}
	copy(t.actions[:], actions)
	return t
}

// tunnelTable is the table of RFC 2661, section 7.2.1. In addition, an
// administrative close ends the two wait states as it ends the state established:
// the RFC's table has no row for that, and a shutdown does not wait.
//
// There is no cell for "Receive SCCRQ, lose tie-breaker": we send no Tie Breaker.
// A tunnel that the peer opens in the meantime is another Tunnel, and both may
// live.
var tunnelTable = [tunnelStates][tunnelEvents]tunnelTransition{
	tunnelIdle: {
		tunnelOpen:   tunnelTo(waitCtlReply, sendSCCRQ),
		sccrqGood:    tunnelTo(waitCtlConn, sendSCCRP),
		sccrqBad:     tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		sccrpGood:    tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		sccrpBad:     tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		scccnGood:    tunnelTo(tunnelIdle, tunnelClean),
		scccnBad:     tunnelTo(tunnelIdle, tunnelClean),
		stopReceived: tunnelTo(tunnelIdle, tunnelClean),
		tunnelClose:  tunnelTo(tunnelIdle, tunnelClean),
	},
	waitCtlReply: {
		sccrpGood:    tunnelTo(tunnelEstablished, sendSCCCN, tunnelIsUp),
		sccrpBad:     tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		scccnGood:    tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		scccnBad:     tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		stopReceived: tunnelTo(tunnelIdle, tunnelClean),
		tunnelClose:  tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
	},
	waitCtlConn: {
		sccrqGood:    tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		sccrqBad:     tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		sccrpGood:    tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		sccrpBad:     tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		scccnGood:    tunnelTo(tunnelEstablished, tunnelIsUp),
		scccnBad:     tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		stopReceived: tunnelTo(tunnelIdle, tunnelClean),
		tunnelClose:  tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
	},
	tunnelEstablished: {
		tunnelOpen:   tunnelTo(tunnelEstablished, tunnelIsUp),
		sccrqGood:    tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		sccrqBad:     tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		sccrpGood:    tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		sccrpBad:     tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		scccnGood:    tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		scccnBad:     tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
		stopReceived: tunnelTo(tunnelIdle, tunnelClean),
		tunnelClose:  tunnelTo(tunnelIdle, sendStopCCN, tunnelClean),
	},
}
