//go:build !thaw

package ppp

// NextEvent returns the next pending event, oldest first.
func (l *Link) NextEvent() (Event, bool) { return l.out.Pop() }
