//go:build !thaw

package session

// NextEvent returns the next pending event, oldest first.
func (s *Session) NextEvent() (Event, bool) { return s.next() }
