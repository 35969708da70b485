package vpn

import (
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dataplane"
)

func (s *session) interimInterval() time.Duration {
	if s.grant.InterimInterval > 0 {
		return s.grant.InterimInterval
	}
	return s.conn.policy.InterimInterval
}

// counters are what this session carried: a link may carry several, one after
// the other.
func (s *session) counters() dataplane.Counters { return since(s.data.Counters(), s.before) }

func since(n, before dataplane.Counters) dataplane.Counters {
	n.InPackets -= before.InPackets
	n.InOctets -= before.InOctets
	n.OutPackets -= before.OutPackets
	n.OutOctets -= before.OutOctets
	return n
}

// account sends one accounting record, with the counters as they stand.
func (s *session) account(now time.Time, status auth.Status, cause auth.Cause) {
	if s.conn.srv.cfg.Accountant == nil {
		return
	}
	n := s.counters()
	s.conn.srv.cfg.Accountant.Account(auth.Record{
		Status:        status,
		Call:          s.conn.authCall(s),
		User:          s.grant.User,
		Address:       s.address,
		IPv6:          s.six.IPv6,
		Method:        s.method,
		Class:         s.grant.Class,
		Time:          now,
		Duration:      now.Sub(s.since),
		InputOctets:   n.InOctets,
		OutputOctets:  n.OutOctets,
		InputPackets:  n.InPackets,
		OutputPackets: n.OutPackets,
		Cause:         cause,
	})
}
