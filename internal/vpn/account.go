package vpn

import (
	"time"

	"github.com/adit-vpn/adit/auth"
)

func (s *session) interimInterval() time.Duration {
	if s.grant.InterimInterval > 0 {
		return s.grant.InterimInterval
	}
	return s.conn.policy.InterimInterval
}

// account sends one accounting record, with the counters as they stand.
func (s *session) account(now time.Time, status auth.Status, cause auth.Cause) {
	if s.conn.srv.cfg.Accountant == nil {
		return
	}
	n := s.data.Counters()
	s.conn.srv.cfg.Accountant.Account(auth.Record{
		Status:        status,
		Call:          s.conn.authCall(s),
		User:          s.grant.User,
		Address:       s.address,
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
