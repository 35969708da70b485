//go:build !thaw

package l2tp

// NextEvent returns the next pending event, oldest first.
func (t *Tunnel) NextEvent() (Event, bool) { return t.out.Pop() }
