//go:build thaw

package ppp

import "github.com/adit-vpn/adit/internal/machine"

// NextEvent returns the next pending event, oldest first. When there is none, this build
// replaces the machine with its frozen and thawed copy: see machine.Thawing.
func (l *Link) NextEvent() (Event, bool) {
	e, ok := l.out.Pop()
	if !ok && machine.Thawing.Load() {
		thawed, err := Resume(l.env, l.Append(nil))
		if err != nil {
			panic(err)
		}
		*l = *thawed
		machine.Thawed.Add(1)
	}
	return e, ok
}
