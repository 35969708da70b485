package hostnet

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// Plan is what the server needs of the host.
type Plan struct {
	Device     string
	Addresses  []netip.Prefix // the server's own, with their networks; routed to the device
	Routes     []netip.Prefix // further networks routed to the device
	Masquerade []netip.Prefix // networks hidden behind the host's address; empty: none

	Forward6    bool           // forward IPv6
	Masquerade6 []netip.Prefix // as Masquerade, of IPv6
}

// Host is a host that was changed.
type Host struct {
	file  string
	plan  Plan
	watch *watch

	mu     sync.Mutex // guards what follows
	undo   record
	claims claims
}

// Apply changes the host as planned. The undo record is kept in file. What was
// changed before an error is undone.
func Apply(file string, p Plan) (*Host, error) {
	h := &Host{file: file, plan: p, watch: newWatch(), undo: record{Device: p.Device}, claims: claims{}}
	var err error
	if h.undo.Place, err = place(); err != nil {
		return nil, err
	}
	if h.undo.Then, err = look(p.Device); err != nil {
		return nil, err
	}
	if err := h.apply(p); err != nil {
		_, undone := h.Close()
		return nil, errors.Join(err, undone)
	}
	return h, nil
}

func (h *Host) apply(p Plan) error {
	if err := addAddresses(p.Device, p.Addresses, p.Routes); err != nil {
		return err
	}
	if len(p.Masquerade) > 0 {
		if err := h.enableForwarding(); err != nil {
			return err
		}
	}
	if p.Forward6 {
		if err := h.enableForwarding6(); err != nil {
			return err
		}
	}
	if len(p.Masquerade)+len(p.Masquerade6) == 0 {
		return nil
	}
	h.undo.Table = tableName(p.Device)
	if err := h.undo.save(h.file); err != nil {
		return err
	}
	return masquerade(h.undo.Table, p.Device, p.Masquerade, p.Masquerade6)
}

// Close undoes what Apply did, but for what others have come to rely on, which
// it returns as sentences for the administrator.
func (h *Host) Close() (left []string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.watch.written() {
		if s, ok := h.undo.Sysctls[name]; ok {
			s.Theirs = true
			h.undo.Sysctls[name] = s
		}
	}
	h.watch.close()
	return h.undo.undo(h.file)
}

// Replay undoes what a server that crashed left behind, as Close does. Without a
// record it does nothing.
func Replay(file string) (left []string, err error) {
	r, err := load(file)
	if err != nil || r == nil {
		return nil, err
	}
	left, err = r.undo(file)
	if err != nil {
		return left, fmt.Errorf("undoing what the last run left behind: %w", err)
	}
	return left, nil
}
