package vpn

import (
	"net/netip"

	"github.com/adit-vpn/adit/internal/gate"
)

// HoldGate takes all the computation tokens of strangers until free is called.
func (s *Server) HoldGate() (free func()) {
	var all []func(bool)
	for range s.gate.Tokens() {
		leave, err := s.gate.Enter(gate.Cheap, netip.MustParseAddr("203.0.113.66"), false, nil)
		if err != nil {
			panic(err)
		}
		all = append(all, leave)
	}
	return func() {
		for _, leave := range all {
			leave(false)
		}
	}
}

// Waiting is the number of computations that wait at the gate, of users and of strangers.
func (s *Server) Waiting() (users, strangers int) { return s.gate.Waiting() }
