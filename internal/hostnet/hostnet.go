package hostnet

import (
	"errors"
	"fmt"
	"net/netip"
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
	file string
	undo record
}

// Apply changes the host as planned. The undo record is kept in file. What was
// changed before an error is undone.
func Apply(file string, p Plan) (*Host, error) {
	h := &Host{file: file}
	if err := h.apply(p); err != nil {
		return nil, errors.Join(err, h.Close())
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

// Close undoes what Apply did.
func (h *Host) Close() error { return h.undo.undo(h.file) }

// Replay undoes what a server that crashed left behind. Without a record it
// does nothing.
func Replay(file string) error {
	r, err := load(file)
	if err != nil || r == nil {
		return err
	}
	if err := r.undo(file); err != nil {
		return fmt.Errorf("undoing what the last run left behind: %w", err)
	}
	return nil
}
