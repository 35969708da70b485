package session

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/ppp"
)

// Event is what a Session tells its driver, which drains the events after every call.
type Event interface{ event() }

type (
	// Send asks the driver to send one PPP frame, beginning with FF 03.
	Send struct{ Frame []byte }
	// Ask requests a verdict, which the driver passes to Verdict with this ticket. It
	// replaces an earlier Ask, whose answer no longer counts. Of the request's Call, only
	// the session's id, and what the client says of itself in PPP, is known here.
	Ask struct {
		Ticket  uint32
		Request *auth.Request
		// Continued says that it is for the Response.Next of the last verdict, which went on.
		Continued bool
		// Renews says that the session asked for it, not the client: see expire.
		Renews bool
	}
	// Blocked says that an accepted user cannot get what Grant names, but could if other
	// sessions ended: old ones of that user, or, if Leased, those of other users that have
	// something of it. Retry with this ticket tries once more.
	Blocked struct {
		Ticket uint32
		Grant  auth.Grant
		Taken  bool // an address of the grant is in use; otherwise there are too many sessions
		Oldest bool // all of them live, and the oldest is to end
		Leased bool // what the grant names is in use by other users, to whom a pool gave it
	}
	// Leased says that a user was accepted and has an address.
	Leased struct{ User string }
	// Judged says how an authentication ended.
	Judged struct {
		User     string // the session's, if it has one
		Method   auth.Method
		Name     string // as the peer sent it
		Verdict  auth.Verdict
		Detail   string
		Message  string   // what the backend said to the user
		Warnings []string // what was ignored in the backend's answer
		Err      error    // why no verdict was reached
		Duration time.Duration
		Odd      string // which byte of Name is invisible; "": none
	}
	// Route says which networks lead to the session from now on; all others no longer do.
	// It also says how large packets to the session may be, and which device they come from.
	Route struct {
		Networks []netip.Prefix
		MTU      int
		Wire     *Wire // nil: the common device
	}
	// Limit says what may pass of the session from now on, in place of all that passes.
	Limit struct {
		Rates  limit.Rates
		Filter limit.Filter
	}
	// Gardened says that a session whose quota is used up has the walled garden's filter, or
	// no longer.
	Gardened struct{ In bool }
	// Account is one accounting record. Of its Call, only the session's id is known here.
	Account struct {
		Record auth.Record
		unused bool // the session has carried nothing: see auth.Unused
	}
	// Up says that the user's traffic flows.
	Up struct{ Info }
	// Changed says that a session that is up got its other network, or got a network
	// anew.
	Changed struct{}
	// Down says that the user's traffic no longer flows.
	Down struct {
		Info
		Cause auth.Cause
		Link  ppp.Reason
	}
	// Restarted says that another session begins on the same link: its client
	// authenticated again. It has no user until a network is up.
	Restarted struct{}
	// Released says that what the session held is free: the networks behind its client
	// may lead to other sessions of the user.
	Released struct {
		User   string
		Routes []netip.Prefix
	}
	// Dialled says, as a client, that IPCP is open.
	Dialled struct{ ppp.NetworkUp }
	// Undialled says, as a client, that IPCP is no longer open.
	Undialled struct{}
	// Dialled6 says, as a client, that IPV6CP is open.
	Dialled6 struct{ ppp.Network6Up }
	// Compression says what may be compressed from now on. What is sent after it may
	// count on that.
	Compression struct{ ppp.Compression }
	// Passed says that the right user answered a challenge: see Challenge.
	Passed struct{}
	// Failed says that authentication was refused, before the link ends.
	Failed struct{ Message string }
	// Proved says that the peer receives what is sent to it: see Prove.
	Proved struct{}
	// Note reports something that had no effect.
	Note struct {
		Kind string // in our words
		Text string
	}
	// Ended says that the link is over. It is the last event.
	Ended struct {
		Why    ppp.Reason
		Detail string // what could not be agreed, in our words; "": Why says everything
	}
)

func (Send) event()        {}
func (Ask) event()         {}
func (Blocked) event()     {}
func (Leased) event()      {}
func (Judged) event()      {}
func (Route) event()       {}
func (Limit) event()       {}
func (Gardened) event()    {}
func (Account) event()     {}
func (Up) event()          {}
func (Changed) event()     {}
func (Down) event()        {}
func (Restarted) event()   {}
func (Released) event()    {}
func (Dialled) event()     {}
func (Dialled6) event()    {}
func (Compression) event() {}
func (Passed) event()      {}
func (Failed) event()      {}
func (Proved) event()      {}
func (Note) event()        {}
func (Ended) event()       {}
func (Undialled) event()   {}

// Wire is a session's own device, and what its host must give it. Addresses of a family
// that is not up are zero.
type Wire struct {
	User          string
	Device        string      // "": one of the user's
	Call          uint64      // of a call that we placed: what it was placed with; 0: the peer placed it
	HangUp        func()      // ends the connection; the driver sets it
	Method        auth.Method // by which the peer has authenticated itself; 0: it has not
	Remote        netip.Addr  // where the peer is reached outside; the driver sets it
	Began         time.Time   // when the peer began to call, as far as the driver knows
	Local, Peer   netip.Addr  // of IPv4
	Local6, Peer6 netip.Addr  // link-local
}

// Info is one session as an administrator sees it.
type Info struct {
	ID      string
	User    string
	Name    string // in accounting
	Group   string
	Rates   limit.Rates
	Method  auth.Method
	Address netip.Addr
	IPv6    auth.IPv6
	Since   time.Time

	Compression ppp.Compression

	InOctets, OutOctets, InPackets, OutPackets uint64
}

// Count sets what the session has carried.
func (i *Info) Count(n Counters) {
	i.InOctets, i.OutOctets, i.InPackets, i.OutPackets = n.InOctets, n.OutOctets, n.InPackets, n.OutPackets
}
