//go:build !thaw

package ike

// NextEvent returns the next pending event, oldest first.
func (s *SA) NextEvent() (Event, bool) { return s.events.Pop() }
