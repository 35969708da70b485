package vpn

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// halfOpen is the ring of embryos: what a first message costs us, fixed in
// size. A flood overwrites the oldest; it never makes us refuse a newcomer.
// It belongs to the greeter.
type halfOpen struct {
	ring      []embryo
	next      int
	perSource int
	cookies   map[ike.Cookies]int
	first     map[firstKey]int
	sources   map[netip.Prefix][]int // indices, oldest first

	refusals int       // refusals in clear that may still be sent
	refilled time.Time // when they were last made more
}

// refusalRate is how many refusals in clear are sent a second, at most: they go
// to whatever address a message claims to come from.
const refusalRate = 20

// mayRefuse reports whether another refusal may be sent.
func (h *halfOpen) mayRefuse(now time.Time) bool {
	if now.Sub(h.refilled) >= time.Second {
		h.refusals, h.refilled = refusalRate, now
	}
	if h.refusals == 0 {
		return false
	}
	h.refusals--
	return true
}

type embryo struct {
	ike.Embryo
	live   bool
	heard  time.Time // when message 1 last came
	source netip.Prefix
}

// firstKey finds the embryo of a repeated first message.
type firstKey struct {
	initiator [8]byte
	remote    netip.AddrPort
}

// embryoLife bounds how long after message 1 message 3 may come. Clients whose
// answer was lost repeat message 1, some every 10 seconds, and a slow device
// needs most of a minute for a Diffie-Hellman exchange.
const embryoLife = 75 * time.Second

// handshakeTime bounds phase 1 from message 3 on, however often it is repeated.
const handshakeTime = 3 * time.Minute

func newHalfOpen(size, perSource int) *halfOpen {
	return &halfOpen{
		ring:      make([]embryo, max(1, size)),
		perSource: max(1, perSource),
		cookies:   map[ike.Cookies]int{},
		first:     map[firstKey]int{},
		sources:   map[netip.Prefix][]int{},
	}
}

// sourceOf is what limits count: an IPv4 address or an IPv6 /64.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// add keeps e, in the place of the source's oldest if the source has its share,
// else of the ring's oldest.
func (h *halfOpen) add(e ike.Embryo) {
	source := sourceOf(e.Path.Remote.Addr())
	at := h.next
	if mine := h.sources[source]; len(mine) >= h.perSource {
		at = mine[0]
	} else {
		h.next = (h.next + 1) % len(h.ring)
	}
	h.remove(at)
	h.ring[at] = embryo{Embryo: e, live: true, heard: e.Began, source: source}
	h.cookies[e.Cookies] = at
	h.first[firstKey{e.Cookies.Initiator, e.Path.Remote}] = at
	h.sources[source] = append(h.sources[source], at)
}

// repeated reports whether a first message was answered before, and returns
// the answer again if the message is the very same.
func (h *halfOpen) repeated(initiator [8]byte, path ike.Path, msg []byte, now time.Time) (reply []byte, ok bool) {
	at, ok := h.first[firstKey{initiator, path.Remote}]
	if !ok || h.ring[at].Path != path || now.Sub(h.ring[at].heard) > embryoLife {
		return nil, false
	}
	if reply = h.ring[at].Again(msg); reply != nil {
		h.ring[at].heard = now
	}
	return reply, true
}

// take removes and returns the embryo of a third message from the same source.
func (h *halfOpen) take(c ike.Cookies, path ike.Path, now time.Time) (ike.Embryo, bool) {
	at, ok := h.cookies[c]
	if !ok {
		return ike.Embryo{}, false
	}
	e := h.ring[at].Embryo
	if e.Path.Remote.Addr() != path.Remote.Addr() || now.Sub(h.ring[at].heard) > embryoLife {
		return ike.Embryo{}, false
	}
	h.ring[at].Embryo = ike.Embryo{Cookies: e.Cookies, Path: e.Path} // its keys are the taker's
	h.remove(at)
	return e, true
}

func (h *halfOpen) remove(at int) {
	e := &h.ring[at]
	if !e.live {
		return
	}
	// A later message with the same cookies, from another port, has its own.
	if h.cookies[e.Cookies] == at {
		delete(h.cookies, e.Cookies)
	}
	if first := (firstKey{e.Cookies.Initiator, e.Path.Remote}); h.first[first] == at {
		delete(h.first, first)
	}
	mine := h.sources[e.source]
	for i, other := range mine {
		if other == at {
			mine = append(mine[:i], mine[i+1:]...)
			break
		}
	}
	if len(mine) == 0 {
		delete(h.sources, e.source)
	} else {
		h.sources[e.source] = mine
	}
	e.Zero()
	*e = embryo{}
}

// live is how many embryos there are.
func (h *halfOpen) live() int { return len(h.cookies) }

// expire forgets what no third message can claim any more, and tells.
func (h *halfOpen) expire(now time.Time, tell func(*ike.Embryo)) {
	if h.live() == 0 {
		return
	}
	for at := range h.ring {
		if h.ring[at].live && now.Sub(h.ring[at].heard) > embryoLife {
			tell(&h.ring[at].Embryo)
			h.remove(at)
		}
	}
}
