package dataplane

import "github.com/adit-vpn/adit/internal/udp"

const (
	// A train is one datagram to most of the kernel: it has no more bytes than
	// one, and no more segments than old kernels allow.
	maxTrain    = 65000
	maxSegments = 60
)

// trains joins datagrams that follow each other on one path into trains of
// equal segments, the last of which may be shorter. The copy that this takes
// costs a small part of what a datagram costs on its way through the kernel.
type trains struct {
	slab []byte
	used int

	view     *live // of the last datagram, and what it is part of:
	segments int   // of that train, 1 if it stands alone
	whole    bool  // its last segment is as long as the others
}

// reset forgets what was sent.
func (t *trains) reset() { t.used, t.view = 0, nil }

// push appends a datagram to sends, or to the train that sends ends in.
func (t *trains) push(sends []udp.Packet, view *live, b []byte) []udp.Packet {
	if n := len(sends); n > 0 && view == t.view && view.kind() == SocketNATT && t.join(&sends[n-1], b) {
		return sends
	}
	t.view, t.segments, t.whole = view, 1, true
	return append(sends, udp.Packet{Data: b, Local: view.Local, Remote: view.Remote})
}

// join appends a datagram to a train or to another datagram, if they fit.
func (t *trains) join(p *udp.Packet, b []byte) bool {
	segment := p.Segment
	if t.segments == 1 {
		segment = len(p.Data)
	}
	need := len(b)
	if t.segments == 1 {
		need += len(p.Data)
	}
	if !t.whole || len(b) > segment || t.segments == maxSegments || len(p.Data)+len(b) > maxTrain || t.used+need > len(t.slab) {
		return false
	}
	if t.segments == 1 {
		start := t.used
		t.used += copy(t.slab[start:], p.Data)
		p.Data, p.Segment = t.slab[start:t.used], segment
	}
	// A train that is extended is the last thing in the slab.
	start := t.used - len(p.Data)
	t.used += copy(t.slab[t.used:], b)
	p.Data = t.slab[start:t.used]
	t.segments++
	t.whole = len(b) == segment
	return true
}
