package session

import (
	"encoding/binary"
	"hash/fnv"
	"time"

	"github.com/adit-vpn/adit/auth"
)

func (s *Session) interimInterval() time.Duration {
	if s.st.grant.InterimInterval > 0 {
		return s.st.grant.InterimInterval
	}
	return s.env.Policy.InterimInterval
}

// Meter counts the traffic of one session: a link may carry several sessions, one after
// the other. A Meter may be read on any goroutine.
type Meter struct {
	traffic Traffic
	before  Counters
}

// Carried is what the session has carried so far.
func (m Meter) Carried() Counters { return m.traffic.Carried().since(m.before) }

// MeterOf returns a Meter of traffic that is no Session's.
func MeterOf(t Traffic) Meter { return Meter{traffic: t} }

// Meter returns the Meter of this session. It counts from when the session came up.
func (s *Session) Meter() Meter { return Meter{s.env.Traffic, s.st.before} }

// account requests one accounting record. Its counters are read when the driver takes the
// event: see NextEvent.
func (s *Session) account(now time.Time, status auth.Status, cause auth.Cause) {
	s.push(Account{Record: auth.Record{
		Status:  status,
		Call:    auth.Call{SessionID: s.st.id},
		User:    s.st.grant.Called(),
		Address: s.st.address,
		IPv6:    s.st.six.IPv6,
		Method:  s.st.method,
		Class:   s.st.grant.Class,
		By:      s.st.grant.By,

		LogonDomain: s.st.grant.LogonDomain,

		Time:     now,
		Duration: now.Sub(s.st.since),
		Cause:    cause,
	}})
}

// nextInterim is when the next interim record is due: up to a tenth early, so that sessions
// that came up together do not all report together ever after. It depends on the session and
// the time alone: a thawed session does the same.
func (s *Session) nextInterim(now time.Time) time.Time {
	every := s.interimInterval()
	h := fnv.New32a()
	_, _ = h.Write([]byte(s.st.id))
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(now.UnixNano())))
	return now.Add(every - every/10*time.Duration(h.Sum32()%1024)/1024)
}

// unused reports a session that never came up: see auth.Unused. What follows on the link is
// another one.
func (s *Session) unused(now time.Time, g auth.Grant, cause auth.Cause) {
	list := auth.Unused(s.st.id, s.st.method, g, now, cause)
	for _, r := range list {
		s.push(Account{r, true})
	}
	if list != nil {
		s.st.id = s.newID()
	}
}

// count sets the counters of a record.
func (s *Session) count(r *auth.Record) {
	n := s.Meter().Carried()
	r.InputOctets, r.OutputOctets = n.InOctets, n.OutOctets
	r.InputPackets, r.OutputPackets = n.InPackets, n.OutPackets
}
