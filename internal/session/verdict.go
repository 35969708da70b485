package session

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ppp"
)

// attempt is one request for a verdict. A link that renegotiates may make another request
// while the backend still works on the first: only the last one counts.
type attempt struct {
	ticket uint32
	method auth.Method
	name   string // as the peer sent it
	at     time.Time
	waited stage  // for old sessions to make room
	before string // the user whose session continued meanwhile
	again  bool   // the session is up, and goes on if the user is accepted: see renew
	detail string // of an exchange that is under way: what its verdict is to be, for the administrator

	accepted *acceptance // with which Retry continues; nil: there is none yet
	bound    Bound
}

// stage is what has been done so far about old sessions that are in a user's way.
type stage uint8

const (
	unasked  stage = iota
	proved         // they had to prove that their clients live, or to give up what the user has by name
	replaced       // the oldest had to end
)

// acceptance is what a backend said of a user whom it accepted.
type acceptance struct {
	grant    auth.Grant
	detail   string
	message  string
	success  string
	code     int
	warnings []string
}

// Bound is what the pre-shared key or the certificate of a client says about its user.
type Bound struct {
	Group       string // only users of this group may log in; "": all users
	Certificate bool   // a certificate says so, not a pre-shared key
}

// ask asks the driver for a verdict.
func (s *Session) ask(now time.Time, e ppp.AuthRequest) {
	r := &auth.Request{
		User:      e.User,
		ID:        e.ID,
		Password:  secret.New(e.Password.Reveal()),
		Challenge: bytes.Clone(e.Challenge),
		Response:  bytes.Clone(e.Response),
		EAP:       e.EAP,
		Change:    (*auth.PasswordChange)(e.Change),
		MTU:       int(e.MTU),
		Call:      auth.Call{SessionID: s.st.id, RASName: e.ClientName, RASVersion: e.ClientVersion},
	}
	switch e.Method {
	case ppp.MethodPAP:
		r.Method = auth.PAP
	case ppp.MethodCHAP:
		r.Method = auth.CHAP
	case ppp.MethodMSCHAPv2:
		r.Method = auth.MSCHAPv2
	case ppp.MethodEAP:
		r.Method = auth.EAP
	}
	s.st.asked = &attempt{ticket: e.Ticket, method: r.Method, name: e.User, at: now, again: e.Again}
	if again := s.st.grant.Again; e.Again && !e.Continued && again != nil {
		r.State = again.State
	}
	if e.Continued && s.st.open != nil {
		s.st.asked.at = s.st.open.at
	}
	s.st.open = nil
	s.push(Ask{e.Ticket, r, e.Continued, e.Again})
}

// attempt is the attempt with this ticket, nil if another attempt counts by now.
func (s *Session) attempt(ticket uint32) *attempt {
	if a := s.st.asked; a != nil && a.ticket == ticket {
		return a
	}
	return nil
}

// Verdict takes the backend's answer, or its error, to the Ask with this ticket. A ticket
// other than the last one's is ignored.
func (s *Session) Verdict(now time.Time, ticket uint32, b Bound, r auth.Response, err error) {
	a := s.attempt(ticket)
	switch {
	case a == nil:
		return
	case err == nil && r.Verdict == auth.Asked:
		s.st.asked, s.st.open = nil, a
		a.detail = r.Detail
		s.link.HandleAuth(now, a.ticket, ppp.AuthAnswer{EAP: r.EAP})
	case s.st.alone != "":
		s.judgeAlone(now, a, r, err)
	case s.env.PPP.Client:
		s.judgeServer(now, a, r, err)
	case err != nil:
		s.judged(now, a, r, err, ppp.AuthAnswer{Message: "The server could not authenticate the user", Error: mschapNoDialin, Success: r.Success})
	case r.Verdict != auth.Accepted:
		s.judged(now, a, r, nil, ppp.AuthAnswer{Message: r.Message, Error: r.Code, Success: r.Success, Change: r.Verdict == auth.PasswordExpired})
	case a.again:
		s.renew(now, a, b, r)
	default:
		r.Grant.Identify(s.env.Policy.Identity, a.name)
		a.accepted, a.bound = &acceptance{r.Grant, r.Detail, r.Message, r.Success, r.Code, r.Warnings}, b
		if s.st.up {
			a.before = s.st.grant.User
			s.restart(now) // its networks went down when the link was renegotiated
		}
		s.admit(now, a)
	}
	s.pump(now)
}

// Retry continues with the verdict for this ticket, after Blocked.
func (s *Session) Retry(now time.Time, ticket uint32) {
	if a := s.attempt(ticket); a != nil && a.accepted != nil {
		s.admit(now, a)
		s.pump(now)
	}
}

// admit leases what an accepted user gets, and tells the link.
func (s *Session) admit(now time.Time, a *attempt) {
	y := a.accepted
	r := auth.Response{Verdict: auth.Accepted, Grant: y.grant, Detail: y.detail, Message: y.message, Success: y.success, Code: y.code, Warnings: y.warnings}
	s.st.method = a.method
	answer := ppp.AuthAnswer{Message: r.Message, Error: r.Code, Success: r.Success}
	granted, warnings := s.env.Policy.Resolve(r.Grant)
	r.Warnings = slices.Concat(r.Warnings, warnings)
	if g := s.st.grant; s.st.entered && !s.st.began && (g.Address != r.Grant.Address || g.IPv6 != r.Grant.IPv6) {
		s.unused(now, g, auth.UserRequest) // the client authenticates again before it has used that
	}
	denied := s.grant(now, granted, a.bound)
	switch {
	case denied == nil:
		s.push(Leased{s.st.grant.User})
		s.st.usage = s.st.usage.afresh()
		s.limit()
		s.watch()
		answer.OK, answer.Show = true, s.shows()
		answer.Network6 = ppp.Network6{On: s.st.six.on, Peer: s.st.grant.IPv6.Interface}
		answer.Network = ppp.Network{Local: s.local(), Peer: s.st.address, DNS: ipv4(s.settings().DNS), NBNS: ipv4(s.st.grant.NBNS)}
	case a.waited == unasked && (errors.Is(denied, errSessions) || errors.Is(denied, pool.ErrTaken)):
		a.waited = proved
		s.push(Blocked{Ticket: a.ticket, Grant: r.Grant, Taken: errors.Is(denied, pool.ErrTaken)})
		return
	case a.waited == proved && errors.Is(denied, errSessions) && s.env.Policy.Replace:
		a.waited = replaced
		s.push(Blocked{Ticket: a.ticket, Grant: r.Grant, Oldest: true})
		return
	case a.waited < replaced && s.preempts(denied):
		a.waited++ // old sessions of the user may be in the way, too
		s.push(Blocked{Ticket: a.ticket, Grant: r.Grant, Leased: true})
		return
	default:
		s.unused(now, r.Grant, auth.ServiceUnavail)
		r.Verdict, r.Detail = auth.NotAllowed, denied.Error()
		answer.Error = mschapNoDialin
		if errors.Is(denied, errHours) {
			answer.Error = mschapHours
		}
		if errors.Is(denied, errSessions) && answer.Message == "" {
			answer.Message = "You have as many connections as you may have. End one of the others first."
		}
		if errors.Is(denied, pool.ErrExhausted) { // not the user's fault: the client must not ask for the password again
			r.Verdict = auth.NoAddress
			answer.OK, answer.Close = true, ppp.ReasonNoAddress
		}
	}
	s.judged(now, a, r, nil, answer)
}

// shows is what we show to the user if it demands that we authenticate ourselves, too.
func (s *Session) shows() ppp.Credentials {
	if l := s.st.grant.Link; l != nil {
		return ppp.Credentials{User: l.User, Password: l.Password}
	}
	return ppp.Credentials{}
}

// judgeServer passes on, as a client, whether the server is who it should be.
func (s *Session) judgeServer(now time.Time, a *attempt, r auth.Response, err error) {
	s.st.asked = nil
	answer := ppp.AuthAnswer{OK: err == nil && r.Verdict == auth.Accepted, Success: r.Success, Error: r.Code}
	if answer.OK {
		s.st.method = a.method
	} else {
		if err != nil {
			r.Detail = err.Error()
		}
		s.push(Failed{fmt.Sprintf("the other end shows the name %.64q, and is not accepted: %s", a.name, r.Detail)})
	}
	s.link.HandleAuth(now, a.ticket, answer)
}

// judged reports how an attempt ended, and passes the answer to the link.
func (s *Session) judged(now time.Time, a *attempt, r auth.Response, err error, answer ppp.AuthAnswer) {
	s.st.asked = nil
	user := a.before
	if answer.OK && answer.Close == 0 {
		user = r.Grant.User
	}
	s.push(Judged{User: user, Method: a.method, Name: a.name, Odd: oddName(a.name), Verdict: r.Verdict, Detail: r.Detail,
		Message: r.Message, Warnings: r.Warnings, Err: err, Duration: now.Sub(a.at)})
	s.link.HandleAuth(now, a.ticket, answer)
}

// mschapNoDialin is ERROR_NO_DIALIN_PERMISSION (RFC 2759, section 6).
const mschapNoDialin = 649

// mschapHours is ERROR_RESTRICTED_LOGON_HOURS.
const mschapHours = 646

// restart ends the accounting of a session whose client authenticated again, perhaps as
// another user: what follows is a new session.
func (s *Session) restart(now time.Time) {
	s.networkDown(now, auth.UserRequest)
	s.st.id = s.newID()
	s.push(Restarted{})
}

// leftOpen reports an exchange whose client has left before its end. It may have heard the
// verdict.
func (s *Session) leftOpen(now time.Time) {
	a := s.st.open
	if s.st.open = nil; a == nil {
		return
	}
	detail := a.detail
	if detail == "" {
		detail = "the client left before there was a verdict"
	}
	s.push(Judged{Method: a.method, Name: a.name, Odd: oddName(a.name), Verdict: auth.BadCredentials, Detail: detail, Duration: now.Sub(a.at)})
}
