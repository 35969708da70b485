//go:build real

// Package count sends numbered datagrams both ways and counts what arrives: one
// end runs in a guest (test/real/probe), the other in a test.
package count

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// size of a datagram, bytes; the first eight are its number.
const size = 500

// silence is how long an end waits for more. Hosts stall, and a sender that did
// is behind its schedule by as much: what counts is the time since an arrival.
const silence = 10 * time.Second

// Result is what one end saw.
type Result struct {
	Sent, Received  int
	Duplicates      int
	Reordered       int
	Missing         []uint64      // numbers, at most ten of them
	LongestGap      time.Duration // between two arrivals
	LongestGapAfter uint64        // the number before that gap
}

// Run sends n datagrams to peer, one every interval, and counts the n that the
// other end sends. An invalid peer means whoever is heard first.
func Run(c *net.UDPConn, peer netip.AddrPort, n int, interval time.Duration) (Result, error) {
	s := &sink{seen: make([]bool, n)}
	var r Result
	if err := c.SetReadBuffer(8 << 20); err != nil { // as much of it as the host allows
		return r, err
	}
	if !peer.IsValid() {
		if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			return r, err
		}
		var err error
		if peer, err = s.read(c); err != nil {
			return r, err
		}
	}
	sent := make(chan error, 1)
	go func() { sent <- send(c, peer, n, interval) }()
	end := time.Now().Add(time.Duration(n) * interval)
	for s.Received < n {
		wait := max(silence, time.Until(end)+silence)
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return r, err
		}
		if _, err := s.read(c); errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			return r, err
		}
	}
	err := <-sent
	r = s.Result
	r.Sent = n
	for i, ok := range s.seen {
		if !ok && len(r.Missing) < 10 {
			r.Missing = append(r.Missing, uint64(i))
		}
	}
	return r, err
}

func send(c *net.UDPConn, peer netip.AddrPort, n int, interval time.Duration) error {
	b := make([]byte, size)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		binary.BigEndian.PutUint64(b, uint64(i))
		if _, err := c.WriteToUDPAddrPort(b, peer); err != nil {
			return err
		}
	}
	return nil
}

// sink is the receiving half of an end.
type sink struct {
	Result
	seen   []bool
	newest uint64
	last   time.Time
}

func (s *sink) read(c *net.UDPConn) (netip.AddrPort, error) {
	var b [2 * size]byte
	n, from, err := c.ReadFromUDPAddrPort(b[:])
	if err != nil {
		return from, err
	}
	i := binary.BigEndian.Uint64(b[:])
	if n != size || i >= uint64(len(s.seen)) {
		return from, errors.New("somebody else's datagram")
	}
	now := time.Now()
	switch {
	case s.seen[i]:
		s.Duplicates++
		return from, nil
	case i < s.newest:
		s.Reordered++
	default:
		if gap := now.Sub(s.last); !s.last.IsZero() && gap > s.LongestGap {
			s.LongestGap, s.LongestGapAfter = gap, s.newest
		}
		s.newest = i
	}
	s.last = now
	s.seen[i] = true
	s.Received++
	return from, nil
}
