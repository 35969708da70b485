package vpn

import (
	"crypto/sha256"
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
	taken     map[firstKey]taken
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
	key    firstKey
	live   bool
	heard  time.Time // when message 1 last came
	source netip.Prefix
}

// firstKey finds the embryo of a repeated first message: one that is the same to
// the last byte, from the same port to the same. Its initiator cookie alone is
// nothing that a peer could not repeat.
type firstKey struct {
	path ike.Path
	sum  [sha256.Size]byte
}

func keyOf(m firstMessage) firstKey { return firstKey{m.path, sha256.Sum256(m.data)} }

// embryoLife bounds how long after message 1 message 3 may come. Clients whose
// answer was lost repeat message 1, some every 10 seconds, and a slow device
// needs most of a minute for a Diffie-Hellman exchange.
const embryoLife = 75 * time.Second

// handshakeTime bounds phase 1 from message 3 on, however often it is repeated.
const handshakeTime = 3 * time.Minute

// taken is an embryo that message 3 has taken.
type taken struct {
	ike.Cookies
	at time.Time
}

// lateCopy is how long after message 3 a copy of message 1 may be one that the
// network held up: its sender waits for something else by now. A later one is of
// a device that was switched on again and has the same random numbers as before.
const lateCopy = 2 * time.Second

func newHalfOpen(size, perSource int) *halfOpen {
	return &halfOpen{
		ring:      make([]embryo, max(1, size)),
		perSource: max(1, perSource),
		cookies:   map[ike.Cookies]int{},
		first:     map[firstKey]int{},
		taken:     map[firstKey]taken{},
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
func (h *halfOpen) add(key firstKey, e ike.Embryo) {
	source := sourceOf(e.Path.Remote.Addr())
	at := h.next
	if mine := h.sources[source]; len(mine) >= h.perSource {
		at = mine[0]
	} else {
		h.next = (h.next + 1) % len(h.ring)
	}
	h.remove(at)
	h.ring[at] = embryo{Embryo: e, key: key, live: true, heard: e.Began, source: source}
	h.cookies[e.Cookies] = at
	h.first[key] = at
	h.sources[source] = append(h.sources[source], at)
}

// late reports whether a first message is a copy of one that led to message 3
// just now, and which SA came of it.
func (h *halfOpen) late(path ike.Path, msg []byte, now time.Time) (ike.Cookies, bool) {
	t, ok := h.taken[keyOf(firstMessage{path, msg})]
	return t.Cookies, ok && now.Sub(t.at) < lateCopy
}

// repeated reports whether a first message was answered before, and returns
// the answer again.
func (h *halfOpen) repeated(path ike.Path, msg []byte, now time.Time) (reply []byte, ok bool) {
	key := keyOf(firstMessage{path, msg})
	at, ok := h.first[key]
	if !ok || now.Sub(h.ring[at].heard) > embryoLife {
		return nil, false
	}
	h.ring[at].heard = now
	return h.ring[at].Again(msg), true
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
	if len(h.taken) < len(h.ring) {
		h.taken[h.ring[at].key] = taken{e.Cookies, now}
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
	delete(h.cookies, e.Cookies)
	if h.first[e.key] == at {
		delete(h.first, e.key)
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
	for key, t := range h.taken {
		if now.Sub(t.at) >= lateCopy {
			delete(h.taken, key)
		}
	}
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
