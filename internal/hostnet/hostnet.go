package hostnet

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Plan is what the server needs of the host.
type Plan struct {
	Device     string
	Addresses  []netip.Prefix // the server's own, with their networks; routed to the device
	Routes     []netip.Prefix // further networks routed to the device
	Masquerade bool           // forward IPv4, and hide clients behind the host's address

	Forward6    bool // forward IPv6
	Masquerade6 bool // hide IPv6 clients behind the host's address

	Policy Policy // of what passes
}

// Host is a host that was changed.
type Host struct {
	file  string
	plan  Plan
	watch *watch

	mu        sync.Mutex // guards what follows
	undo      record
	claims    claims
	holes     map[netip.Prefix]int // how many want each blackhole
	tables    ourTables
	unguarded error // why there is no guard, nil: there is
	written   bool  // the guard was there once
	tried     time.Time
	changes   *changes
	clear     []Clear         // what the host drops without ESP
	ours      map[string]bool // devices of the server's besides the clients', as links have
}

// Apply changes the host as planned. The undo record is kept in file. What was
// changed before an error is undone.
func Apply(file string, p Plan) (*Host, error) {
	h := &Host{file: file, plan: p, watch: newWatch(), changes: newChanges(), undo: record{Device: p.Device}, claims: claims{}, holes: map[netip.Prefix]int{}, ours: map[string]bool{}}
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
	if len(p.Addresses) == 0 {
		return nil // it is a station of a LAN: nothing is forwarded
	}
	if err := h.guard(p); err != nil { // before anything is forwarded
		return err
	}
	if p.Masquerade {
		if err := h.enableForwarding(); err != nil {
			return err
		}
	}
	if p.Forward6 {
		return h.enableForwarding6()
	}
	return nil
}

// Close undoes what Apply did, but for what others have come to rely on, which
// it returns as sentences for the administrator.
func (h *Host) Close() (left []string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.noteWritten()
	h.watch.close()
	h.changes.close()
	return h.undo.undo(h.file)
}

// noteWritten notes which sysctls others have written.
func (h *Host) noteWritten() {
	for name := range h.watch.written() {
		if s, ok := h.undo.Sysctls[name]; ok {
			s.Theirs = true
			h.undo.Sysctls[name] = s
		}
	}
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
