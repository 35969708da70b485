package eap

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/adit-vpn/adit/auth"
)

// maxHandshakes is how many of TLS are under way at once: each holds some ten kilobytes.
const maxHandshakes = 64

// errHandshakes says that an exchange cannot go on.
var errHandshakes = errors.New("too many users authenticate by EAP-TLS at this moment: the user may try again")

// handshakes are those that are under way, the oldest first. Where there is no place for
// another one, the source that has most of them loses its oldest: nobody keeps others out by
// handshakes that do not go on.
type handshakes struct {
	mu   sync.Mutex
	list []*handshake
}

type handshake struct {
	source netip.Prefix
	leave  func()
}

// begin begins the handshake of a peer.
func (h *handshakes) begin(from netip.Addr, c *tls.Config) (*wire, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	own := &handshake{source: auth.SourceOf(from)}
	if len(h.list) >= maxHandshakes && !h.yield(own.source) {
		return nil, errHandshakes
	}
	w := serve(c, func() { h.end(own) })
	own.leave = w.leave
	h.list = append(h.list, own)
	return w, nil
}

// yield has a source that holds more than another one would then give a place up. h.mu is
// locked.
func (h *handshakes) yield(to netip.Prefix) bool {
	count := map[netip.Prefix]int{}
	for _, x := range h.list {
		count[x.source]++
	}
	most := slices.IndexFunc(h.list, func(x *handshake) bool {
		return !slices.ContainsFunc(h.list, func(y *handshake) bool { return count[y.source] > count[x.source] })
	})
	if count[h.list[most].source] <= count[to]+1 {
		return false
	}
	h.list[most].leave()
	h.list = slices.Delete(h.list, most, most+1)
	return true
}

// end gives a place back.
func (h *handshakes) end(own *handshake) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = slices.DeleteFunc(h.list, func(x *handshake) bool { return x == own })
}
