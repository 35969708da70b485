package vpn

import "runtime"

// gate bounds how many goroutines spend processor time on key exchange, so that
// a storm of handshakes leaves a core to established sessions. Peers that are
// authenticated have one token more, which strangers cannot take.
type gate struct {
	anyone chan struct{}
	known  chan struct{}
}

func newGate() *gate {
	return &gate{
		anyone: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)),
		known:  make(chan struct{}, 1),
	}
}

// enter waits for a token and returns what gives it back. Who is gone meanwhile
// gets none: strangers that were evicted do not keep others waiting.
func (g *gate) enter(known bool, gone <-chan struct{}) (leave func(), ok bool) {
	reserved := g.known
	if !known {
		reserved = nil // never ready
	}
	select {
	case <-gone:
		return nil, false
	default:
	}
	select {
	case <-gone:
		return nil, false
	case reserved <- struct{}{}:
		return func() { <-g.known }, true
	case g.anyone <- struct{}{}:
		return func() { <-g.anyone }, true
	}
}
