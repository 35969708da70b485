//go:build thaw

package ike

import "github.com/adit-vpn/adit/internal/machine"

// NextEvent returns the next pending event, oldest first. When there is none, this
// build replaces the machine by its frozen and thawed copy: see machine.Thawing.
func (s *SA) NextEvent() (Event, bool) {
	e, ok := s.events.Pop()
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
