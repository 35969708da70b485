package links

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/adit-vpn/adit/internal/link"
)

// make returns a link without a device. Numbers of its calls are of no other link of the
// same name: a call of one that was there before may still end.
func (m *Manager) make(c *Link) *one {
	m.made++
	c.Rules.Before = link.Call(m.made << 32)
	m.had.Store(c.Device, true)
	return newOne(m, c)
}

// Change has these links and no others. One that is there already stays as it is, and up.
// One that is not, or is made otherwise now, is hung up and closed, and what is new is made.
// What cannot be made is in the error; all others are there.
//
// A network that leads to a link before and after leads nowhere else meanwhile.
func (m *Manager) Change(want []Link) error {
	if m == nil {
		return nil
	}
	m.change.Lock()
	defer m.change.Unlock()
	if m.closed {
		return nil
	}
	had, errs := m.all(), []error(nil)
	var stays, fresh []*one
	for i := range want {
		if l := withDevice(had, want[i].Device); l != nil && reflect.DeepEqual(l.cfg.Of, want[i].Of) {
			stays = append(stays, l)
			continue
		}
		l := m.make(&want[i])
		fresh = append(fresh, l)
		errs = append(errs, l.prepare())
	}
	m.links.Store(&stays)
	for _, l := range had {
		if slices.Contains(stays, l) {
			continue
		}
		why := "it was taken from the configuration"
		if anew := withDevice(fresh, l.cfg.Device); anew != nil {
			why = "it was changed in the configuration"
			anew.heldAs(l)
		}
		l.stop(why)
		errs = append(errs, l.forget())
	}
	for _, l := range fresh {
		if err := l.open(); err != nil {
			errs = append(errs, fmt.Errorf("link %q: %w", l.cfg.Name, err), l.forget())
			continue
		}
		m.publish(l, want)
		if m.ctx != nil {
			l.start(m.ctx)
		}
	}
	return errors.Join(errs...)
}

// heldAs has a link that was not started held down if another is, by an administrator.
func (l *one) heldAs(old *one) {
	old.mu.Lock()
	defer old.mu.Unlock()
	if now := time.Now(); old.rules.Info(now).State == link.Held {
		l.rules.Lower(now)
	}
}

// publish adds a link to the list, in the order of the configuration.
func (m *Manager) publish(l *one, order []Link) {
	place := func(o *one) int {
		return slices.IndexFunc(order, func(c Link) bool { return c.Device == o.cfg.Device })
	}
	list := append(slices.Clone(m.all()), l)
	slices.SortFunc(list, func(a, b *one) int { return place(a) - place(b) })
	m.links.Store(&list)
}

// named returns the link of a name, nil if there is none.
func named(list []*one, name string) *one {
	for _, l := range list {
		if l.cfg.Name == name {
			return l
		}
	}
	return nil
}

// withDevice returns the link that has a device, nil if there is none.
func withDevice(list []*one, device string) *one {
	for _, l := range list {
		if l.cfg.Device == device {
			return l
		}
	}
	return nil
}
