package halfopen

import (
	"crypto/sha256"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/crowd"
)

// embryos are the records that first messages cost us, bounded in number and in bytes. A
// flood displaces the records kept longest, and its own before all others. It never makes
// us refuse a newcomer. They belong to Run's goroutine.
type embryos struct {
	common, large, proved ring
	cookies               map[ike.Cookies]*embryo
	first                 map[firstKey]*embryo
	taken                 map[firstKey]taken
	sources               map[netip.Prefix]time.Time // sources that have proved their address, and when
	tell                  func(*ike.Embryo)          // reports an answer that nobody claimed
	bytes, most           int                        // what the records cost, and may cost at most

	refusals int       // refusals in clear that may still be sent
	refilled time.Time // when refusals was last refilled
}

// ring holds the embryos of one kind.
type ring struct {
	crowd.Crowd[*embryo]
	size int
}

const (
	// embryoCost is the cost of a record in bytes, without the parts of messages that it
	// keeps.
	embryoCost = 1 << 10
	// commonOffer is the size of a first message in bytes, except from clients that offer
	// very many suites.
	commonOffer = 2 << 10
	// largeShare is the number of usual embryos for each embryo that may be larger.
	largeShare = 16
	// provenLife is how long a source that proved its address has a place in a separate
	// ring: clients, or their users, try again within a minute.
	provenLife = time.Minute
	maxProven  = 1024
)

// refusalRate is the most refusals in clear that are sent per second: they go to whatever
// address a message claims to come from.
const refusalRate = 20

// mayRefuse reports whether another refusal may be sent.
func (h *embryos) mayRefuse(now time.Time) bool {
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
	key     firstKey
	message []byte
	heard   time.Time // when message 1 last came
	cost    int       // bytes
	ring    *ring
	place   *crowd.Member[*embryo]
}

// firstKey finds the embryo of a repeated first message: one that is identical to the
// last byte, with the same source and destination ports. The initiator cookie alone does
// not suffice, since two peers may use the same one.
type firstKey struct {
	path      ike.Path
	initiator [8]byte
	sum       [sumLen]byte
}

const sumLen = 32

// offerSum identifies a first message without its initiator cookie.
func offerSum(msg []byte) [sumLen]byte { return sha256.Sum256(msg[min(8, len(msg)):]) }

func keyOf(m firstMessage) firstKey {
	k := firstKey{path: m.path, sum: offerSum(m.data)}
	copy(k.initiator[:], m.data)
	return k
}

// embryoLife bounds the time from message 1 to message 3. Clients whose answer was lost
// repeat message 1, some every 10 seconds, and a slow device needs most of a minute for a
// Diffie-Hellman exchange.
const embryoLife = 75 * time.Second

// taken is a first message whose message 3 has arrived.
type taken struct {
	ike.Cookies
	at time.Time
}

// lateCopy is how long after message 3 a copy of message 1 counts as delayed by the
// network: by then its sender awaits something else. A later copy comes from a device
// that was restarted and produces the same random numbers again.
const lateCopy = 2 * time.Second

func newEmbryos(size, most int, tell func(*ike.Embryo)) *embryos {
	size = max(1, size)
	return &embryos{
		common:  ring{size: size},
		large:   ring{size: max(1, size/largeShare)},
		proved:  ring{size: size},
		cookies: map[ike.Cookies]*embryo{},
		first:   map[firstKey]*embryo{},
		taken:   map[firstKey]taken{},
		sources: map[netip.Prefix]time.Time{},
		tell:    tell,
		most:    most,
	}
}

// ringFor returns the ring for the embryo of a first message. Embryos of large messages
// are few, and floods from forged addresses do not affect peers that have
// proved theirs.
func (h *embryos) ringFor(m firstMessage, now time.Time) *ring {
	at, ok := h.sources[crowd.SourceOf(m.path.Remote.Addr())]
	switch {
	case len(m.data) > commonOffer:
		return &h.large
	case ok && now.Sub(at) < provenLife:
		return &h.proved
	default:
		return &h.common
	}
}

// add keeps the embryo e of a first message.
func (h *embryos) add(m firstMessage, e ike.Embryo, now time.Time) {
	r := h.ringFor(m, now)
	for r.Len() >= r.size {
		h.drop(r.Yields().Value)
	}
	kept := &embryo{Embryo: e, key: keyOf(m), message: m.data, heard: e.Began, ring: r}
	kept.cost = embryoCost + len(m.data) + len(e.Offer) + len(e.Reply)
	for h.bytes+kept.cost > h.most {
		h.drop(h.heaviest().Yields().Value)
	}
	h.bytes += kept.cost
	kept.place = r.Add(crowd.OriginOf(m.path.Remote.Addr()), kept)
	h.cookies[e.Cookies] = kept
	h.first[kept.key] = kept
}

// heaviest is the ring with the most embryos.
func (h *embryos) heaviest() *ring {
	r := &h.common
	for _, other := range []*ring{&h.large, &h.proved} {
		if other.Len() > r.Len() {
			r = other
		}
	}
	return r
}

// prove remembers that a source really is at its address: it returned a cookie of ours
// whose embryo is gone.
func (h *embryos) prove(source netip.Prefix, now time.Time) {
	if _, ok := h.sources[source]; !ok && len(h.sources) >= maxProven {
		for other := range h.sources { // any of them: the iteration order is random
			delete(h.sources, other)
			break
		}
	}
	h.sources[source] = now
}

// late reports whether a first message is a copy of one whose message 3 has just arrived,
// and returns the cookies of the SA that it led to.
func (h *embryos) late(key firstKey, now time.Time) (ike.Cookies, bool) {
	t, ok := h.taken[key]
	return t.Cookies, ok && now.Sub(t.at) < lateCopy
}

// repeated reports whether a first message was answered before, and returns
// the answer again.
func (h *embryos) repeated(key firstKey, msg []byte, now time.Time) (reply []byte, ok bool) {
	e, ok := h.first[key]
	if !ok || now.Sub(e.heard) > embryoLife {
		return nil, false
	}
	e.heard = now
	e.ring.Renew(e.place)
	return e.Again(msg), true
}

// take removes and returns the embryo of a third message from the same source, and the
// first message that belongs to it.
func (h *embryos) take(c ike.Cookies, path ike.Path, now time.Time) (e ike.Embryo, first []byte, ok bool) {
	kept, ok := h.cookies[c]
	if !ok || kept.Path.Remote.Addr() != path.Remote.Addr() || now.Sub(kept.heard) > embryoLife {
		return ike.Embryo{}, nil, false
	}
	h.note(kept.key, c, now)
	e = kept.Embryo
	kept.Embryo = ike.Embryo{Cookies: e.Cookies, Path: e.Path} // the caller now owns its keys
	h.remove(kept)
	return e, kept.message, true
}

// note remembers a first message whose message 3 has arrived.
func (h *embryos) note(key firstKey, c ike.Cookies, now time.Time) {
	if len(h.taken) < h.common.size {
		h.taken[key] = taken{c, now}
	}
}

func (h *embryos) remove(e *embryo) {
	e.ring.Remove(e.place)
	h.bytes -= e.cost
	if h.cookies[e.Cookies] == e {
		delete(h.cookies, e.Cookies)
	}
	if h.first[e.key] == e {
		delete(h.first, e.key)
	}
	e.Zero()
}

// drop removes an embryo that nobody claimed.
func (h *embryos) drop(e *embryo) {
	h.tell(&e.Embryo)
	h.remove(e)
}

// live is the number of embryos.
func (h *embryos) live() int { return len(h.cookies) }

// expire removes embryos that no third message can claim any more, and outdated entries of
// taken and sources.
func (h *embryos) expire(now time.Time) {
	for key, t := range h.taken {
		if now.Sub(t.at) >= lateCopy {
			delete(h.taken, key)
		}
	}
	for source, at := range h.sources {
		if now.Sub(at) >= provenLife {
			delete(h.sources, source)
		}
	}
	for _, r := range []*ring{&h.common, &h.large, &h.proved} {
		for m := r.Oldest(); m != nil && now.Sub(m.Value.heard) > embryoLife; m = r.Oldest() {
			h.drop(m.Value)
		}
	}
}
