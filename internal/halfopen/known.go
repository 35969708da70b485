package halfopen

import (
	"time"

	"github.com/adit-vpn/adit/ike"
)

// answerKnown appends the answer to a known first message. Nothing of the message is
// kept: the cookie brings it back. It returns false if there is no answer yet under this
// policy. It may be called from any goroutine. So even a flood of messages like those of
// honest clients costs little more than its datagrams.
func (g *Greeter) answerKnown(reply []byte, now time.Time, path ike.Path, msg []byte) (_ []byte, ok bool) {
	known := g.offers.find(msg)
	if known == nil {
		return reply, false
	}
	a := known.answer.Load()
	if a == nil || a.policy != g.cfg.Policy() || path.Local.Addr().IsUnspecified() {
		return reply, false
	}
	initiator := [8]byte(msg)
	cookie, late := g.knownCookie(path, initiator, known.index, now)
	if late {
		g.drop(path, ErrLate)
		return reply, true
	}
	at := len(reply)
	reply = append(reply, a.reply...)
	copy(reply[at:], initiator[:])
	copy(reply[at+len(initiator):], cookie[:])
	return reply, true
}

// prepare makes the answer to a known first message, for answerKnown.
func (g *Greeter) prepare(now time.Time, path ike.Path, msg []byte) {
	known, env := g.offers.find(msg), g.answerEnv()
	if known == nil {
		return
	}
	if _, reply, err := ike.Answer(env, path, msg, now); err == nil {
		known.answer.Store(&answer{env.Policy, reply})
	}
}

// recall makes the embryo of a known first message again from its cookie.
func (g *Greeter) recall(now time.Time, path ike.Path, c ike.Cookies) (e ike.Embryo, first []byte, ok bool) {
	known := g.offers.at(offerOf(c.Responder))
	if known == nil || !g.minted(path, c, now) {
		return ike.Embryo{}, nil, false
	}
	first = known.from(c.Initiator)
	env := g.answerEnv()
	env.Cookie = func(ike.Path, [8]byte) [8]byte { return c.Responder }
	e, _, err := ike.Answer(env, path, first, now)
	if err != nil { // the policy has changed meanwhile
		return ike.Embryo{}, nil, false
	}
	return e, first, true
}
