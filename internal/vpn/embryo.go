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
}

type embryo struct {
	ike.Embryo
	live   bool
	reply  []byte
	source netip.Prefix
	born   time.Time
}

// firstKey finds the embryo of a repeated first message.
type firstKey struct {
	initiator [8]byte
	remote    netip.AddrPort
}

// embryoLife bounds how long after message 1 message 3 may come.
const embryoLife = 30 * time.Second

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
func (h *halfOpen) add(e ike.Embryo, reply []byte, now time.Time) {
	source := sourceOf(e.Path.Remote.Addr())
	at := h.next
	if mine := h.sources[source]; len(mine) >= h.perSource {
		at = mine[0]
	} else {
		h.next = (h.next + 1) % len(h.ring)
	}
	h.remove(at)
	h.ring[at] = embryo{Embryo: e, live: true, reply: reply, source: source, born: now}
	h.cookies[e.Cookies] = at
	h.first[firstKey{e.Cookies.Initiator, e.Path.Remote}] = at
	h.sources[source] = append(h.sources[source], at)
}

// repeated returns the reply to a first message that was answered before.
func (h *halfOpen) repeated(initiator [8]byte, path ike.Path, now time.Time) ([]byte, bool) {
	at, ok := h.first[firstKey{initiator, path.Remote}]
	if !ok || h.ring[at].Path != path || now.Sub(h.ring[at].born) > embryoLife {
		return nil, false
	}
	return h.ring[at].reply, true
}

// take removes and returns the embryo of a third message from the same source.
func (h *halfOpen) take(c ike.Cookies, path ike.Path, now time.Time) (ike.Embryo, bool) {
	at, ok := h.cookies[c]
	if !ok {
		return ike.Embryo{}, false
	}
	e := h.ring[at].Embryo
	if e.Path.Remote.Addr() != path.Remote.Addr() || now.Sub(h.ring[at].born) > embryoLife {
		return ike.Embryo{}, false
	}
	h.remove(at)
	return e, true
}

func (h *halfOpen) remove(at int) {
	e := &h.ring[at]
	if !e.live {
		return
	}
	delete(h.cookies, e.Cookies)
	delete(h.first, firstKey{e.Cookies.Initiator, e.Path.Remote})
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
	*e = embryo{}
}

// live is how many embryos there are.
func (h *halfOpen) live() int { return len(h.cookies) }

// expire forgets what no third message can claim any more.
func (h *halfOpen) expire(now time.Time) {
	for at := range h.ring {
		if h.ring[at].live && now.Sub(h.ring[at].born) > embryoLife {
			h.remove(at)
		}
	}
}
