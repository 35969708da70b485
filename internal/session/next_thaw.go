//go:build thaw

package session

import "github.com/adit-vpn/adit/internal/machine"

// NextEvent returns the next pending event, oldest first. When there is none, this build
// replaces the session with its frozen and thawed copy: see machine.Thawing.
func (s *Session) NextEvent() (Event, bool) {
	e, ok := s.next()
	if !ok && machine.Thawing.Load() {
		thawed, err := Resume(s.env, s.Append(nil))
		if err != nil {
			panic(err)
		}
		*s = *thawed
		machine.Thawed.Add(1)
	}
	return e, ok
}
