package ike

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// Bounds of fragmentation. A fragment of ours, with the non-ESP marker, UDP and
// IPv6 headers, fits into the 1280 bytes that every IPv6 path carries. Routers
// whose links carry no more than 576 bytes of IPv4 can still forward or fragment
// it.
const (
	fragmentSize = 1200 // bytes of a message that we send, fragment or not
	maxFragments = 32
	maxWhole     = 16 << 10 // bytes
	fragmentTime = 30 * time.Second
)

// assembly is a message of which some fragments came. There is one at a time.
type assembly struct {
	ID    uint16
	Parts [][]byte // by number, from 1; nil: has not come
	Last  int      // the number of the last one, 0: not yet known
	Size  int
	Ends  time.Time
}

// add takes a fragment and returns the whole message once it is complete. It
// reports whether fragments of another message were discarded.
//
// A peer begins its next message when the previous one has arrived, and many peers
// give all messages the same id, so a fragment that contradicts those that are
// there starts a new message. Fragments are not protected, so the newest is as
// credible as any, and an attacker who forges fragments only delays a message
// until the peer repeats it.
func (a *assembly) add(now time.Time, f isakmp.Fragment) (whole []byte, gaveUp bool, err error) {
	n := int(f.Number)
	if n > maxFragments || len(f.Data) > maxWhole {
		return nil, false, fmt.Errorf("%w: fragment %d of %d bytes", ErrLimit, n, len(f.Data))
	}
	if a.stale(now) || a.ID != f.ID || a.contradicts(f) {
		gaveUp = len(a.Parts) > 0
		*a = assembly{ID: f.ID, Ends: now.Add(fragmentTime)}
	}
	for len(a.Parts) < n {
		a.Parts = append(a.Parts, nil)
	}
	if a.Parts[n-1] == nil {
		if a.Size+len(f.Data) > maxWhole {
			*a = assembly{}
			return nil, gaveUp, fmt.Errorf("%w: fragments of more than %d bytes", ErrLimit, maxWhole)
		}
		a.Parts[n-1] = bytes.Clone(f.Data)
		a.Size += len(f.Data)
	}
	if f.Last {
		a.Last = n
	}
	if a.Last == 0 || len(a.Parts) < a.Last || slices.ContainsFunc(a.Parts, func(part []byte) bool { return part == nil }) {
		return nil, gaveUp, nil
	}
	whole = bytes.Join(a.Parts, nil)
	*a = assembly{}
	return whole, gaveUp, nil
}

// contradicts reports whether f cannot belong to the message that is being
// assembled.
func (a *assembly) contradicts(f isakmp.Fragment) bool {
	n := int(f.Number)
	if a.Last != 0 && (n > a.Last || f.Last != (n == a.Last)) || f.Last && len(a.Parts) > n {
		return true
	}
	return n <= len(a.Parts) && a.Parts[n-1] != nil && !bytes.Equal(a.Parts[n-1], f.Data)
}

func (a *assembly) stale(now time.Time) bool { return !a.Ends.IsZero() && !now.Before(a.Ends) }

// expire discards a message that was never completed, and reports whether there
// was one.
func (a *assembly) expire(now time.Time) bool {
	if !a.stale(now) {
		return false
	}
	*a = assembly{}
	return true
}

// handleFragment takes a fragment, and handles the message when its last fragment
// came.
func (s *SA) handleFragment(p packet) error {
	if !s.env.Policy.fragments() {
		return fmt.Errorf("%w: a fragment, which was not offered", ErrUnexpected)
	}
	raws, _, err := isakmp.Chain(p.h.Next, p.body)
	if err != nil {
		return err
	}
	if len(raws) != 1 {
		return fmt.Errorf("%w: a fragment with %d payloads", ErrMalformed, len(raws))
	}
	f, err := isakmp.ParseFragment(raws[0].Body)
	if err != nil {
		return err
	}
	whole, gaveUp, err := s.st.Parts.add(p.now, f)
	if gaveUp {
		s.note(NoteFragments, 0)
	}
	if err != nil || whole == nil {
		return err
	}
	h, body, err := parseHeader(whole)
	switch {
	case err != nil:
		return err
	case h.Next == isakmp.PayloadFragment && h.Flags&isakmp.FlagEncryption == 0:
		return fmt.Errorf("%w: fragments of fragments", ErrMalformed)
	case h.InitiatorCookie != p.h.InitiatorCookie || h.ResponderCookie != p.h.ResponderCookie:
		return ErrCookies
	}
	return s.handle(packet{p.now, p.path, h, body, whole[:h.Length]})
}

// cut divides a message into fragments that each hold at most size bytes of it.
func cut(msg []byte, id uint16, size int) [][]byte {
	h, _, err := isakmp.ParseHeader(msg)
	if err != nil || len(msg) > maxFragments*size {
		return [][]byte{msg} // no peer would assemble so many
	}
	h.Flags &^= isakmp.FlagEncryption
	var list [][]byte
	for n := uint8(1); len(msg) > 0; n++ {
		data := msg[:min(len(msg), size)]
		msg = msg[len(data):]
		list = append(list, isakmp.AppendMessage(nil, h, isakmp.Fragment{ID: id, Number: n, Last: len(msg) == 0, Data: data}))
	}
	return list
}

// send hands a message to the driver, in fragments if it is large and the peer
// takes them.
//
// Deviation: according to MS-IKEE a message is first sent whole, and in fragments
// only if it was not answered. If the path does not carry the whole message, that
// would only cost a retransmission, and before authentication we send nothing
// twice.
func (s *SA) send(path Path, msg []byte) {
	if len(msg) == 0 {
		return
	}
	list := [][]byte{msg}
	if len(msg) > fragmentSize && s.st.Peer.Fragments {
		s.st.Fragmented++
		list = cut(msg, s.st.Fragmented, fragmentSize-isakmp.FragmentOverhead)
	}
	for _, b := range list {
		s.st.Out += len(b)
		s.events.Push(Send{path, b})
	}
}
