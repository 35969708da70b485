//go:build thaw

package l2tp

import "github.com/adit-vpn/adit/internal/machine"

// NextEvent returns the next pending event, oldest first. When there is none, this
// build replaces the machine by its frozen and thawed copy: see machine.Thawing.
func (t *Tunnel) NextEvent() (Event, bool) {
	e, ok := t.out.Pop()
	if !ok && machine.Thawing.Load() {
		thawed, err := Resume(t.env, t.Append(nil))
		if err != nil {
			panic(err)
		}
		*t = *thawed
		machine.Thawed.Add(1)
	}
	return e, ok
}
