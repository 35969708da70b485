package dataplane

import "github.com/adit-vpn/adit/internal/udp"

const (
	// A train is one datagram to most of the kernel: it has no more bytes than
	// one, with all headers, and no more segments than old kernels allow.
	maxTrain    = 65000
	maxSegments = 64
)

// trains joins datagrams into trains: those that lie one behind another in a
// slab, on one path, equal in length but for the last, which may be shorter.
type trains struct {
	view       *live // of the last datagram: nil if there is none
	start, end int   // of the train that it ends, in the slab
	segment    int   // length of the first datagram
	segments   int
	whole      bool // the last is as long as the first
}

// push appends the datagram slab[off:end] to sends, or to the train that sends
// ends in.
func (t *trains) push(sends []udp.Packet, view *live, slab []byte, off, end int) []udp.Packet {
	if view == t.view && off == t.end && t.takes(end-off) {
		t.end = end
		t.segments++
		t.whole = end-off == t.segment
		last := &sends[len(sends)-1]
		last.Data, last.Segment = slab[t.start:end], t.segment
		return sends
	}
	*t = trains{view: view, start: off, end: end, segment: end - off, segments: 1, whole: view.kind() == SocketNATT}
	return append(sends, udp.Packet{Data: slab[off:end], Local: view.Local, Remote: view.Remote})
}

// takes reports whether a datagram of n bytes more can be part of the train.
func (t *trains) takes(n int) bool {
	return t.whole && n <= t.segment && t.segments < maxSegments && t.end-t.start+n <= maxTrain
}
