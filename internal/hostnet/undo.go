package hostnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// record is what must be undone. The device and its addresses need no entry:
// they go with the process that opened it.
type record struct {
	Place   string             `json:"place"`  // the network namespace, since the host started: elsewhere nothing is to undo
	Device  string             `json:"device"` // the server's
	Then    neighbours         `json:"then"`   // devices and chains of others before Sysctls were changed
	Sysctls map[string]setting `json:"sysctls,omitempty"`
	Along   map[string]string  `json:"along,omitempty"` // what the kernel changes along with Sysctls, as it was
	Table   string             `json:"table,omitempty"` // our nftables table
	Clear   string             `json:"clear,omitempty"` // the one that drops what should be in ESP

	Blackholes []netip.Prefix `json:"blackholes,omitempty"` // of links' networks
}

// place names this network namespace since the host's start: a record from
// another says nothing of this one.
func place() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	namespace, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(boot)) + " " + namespace, nil
}

// save writes the record in one step, before the change that it undoes.
func (r *record) save(file string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot keep the undo record: %w", err)
	}
	tmp := file + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("cannot keep the undo record: %w", err)
	}
	return os.Rename(tmp, file)
}

func load(file string) (*record, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err = json.Unmarshal(b, &r); err == nil {
		err = r.valid()
	}
	if err != nil {
		return nil, fmt.Errorf("the undo record %s is damaged: look at `nft list tables` and remove the file: %w", file, err)
	}
	return &r, nil
}

// valid refuses a record that names what this package never changes.
func (r *record) valid() error {
	if r.Device != "" && (len(r.Device) >= unix.IFNAMSIZ || strings.ContainsAny(r.Device, "/ \n")) {
		return fmt.Errorf("it names the device %q", r.Device)
	}
	for name, s := range r.Sysctls {
		for _, v := range []string{s.Was, s.Is} {
			if !number.MatchString(v) {
				return fmt.Errorf("it sets %s to %q", name, v)
			}
		}
		for other := range s.Others {
			if !along.MatchString(other) || strings.Contains(other, "/../") {
				return fmt.Errorf("it names the sysctl %q", other)
			}
		}
		if !ours.MatchString(name) || strings.Contains(name, "/../") {
			return fmt.Errorf("it names the sysctl %q", name)
		}
	}
	for name, v := range r.Along {
		if !number.MatchString(v) {
			return fmt.Errorf("it sets %s to %q", name, v)
		}
		if !along.MatchString(name) || strings.Contains(name, "/../") {
			return fmt.Errorf("it names the sysctl %q", name)
		}
	}
	if r.Table != "" && r.Table != tableName(r.Device) {
		return fmt.Errorf("it names the table %q", r.Table)
	}
	if r.Clear != "" && r.Clear != clearTable(r.Device) {
		return fmt.Errorf("it names the table %q", r.Clear)
	}
	return nil
}

// undo changes everything back and then forgets the record. It goes on after
// an error, and keeps the record if there was one. It returns what it left, for
// people: what somebody else has come to rely on.
func (r *record) undo(file string) (left []string, err error) {
	here, err := place()
	if err != nil {
		return nil, err
	}
	if r.Place == here {
		if left, err = r.restore(); err != nil {
			return left, err
		}
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return left, err
	}
	*r = record{}
	return left, nil
}

// restore removes our tables, and turns forwarding off unless others need it.
// What was set along with forwarding is changed back, or left, together with it.
func (r *record) restore() (left []string, err error) {
	var errs []error
	errs = append(errs, r.dropTables(), r.fill())
	stays := map[bool]bool{} // by whether it is IPv6
	for _, name := range []string{forwarding, forwarding6} {
		if s, ok := r.Sysctls[name]; ok {
			if why := r.needed(name, s); why != "" {
				stays[name == forwarding6] = true
				left = append(left, fmt.Sprintf("%s stays %s: %s", strings.ReplaceAll(name, "/", "."), s.Is, why))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Sysctls)) {
		s := r.Sysctls[name]
		if stays[name != forwarding] || !s.untouched(name) {
			continue
		}
		errs = append(errs, s.restore(name))
		if name == forwarding || name == forwarding6 {
			errs = append(errs, r.restoreAlong(name))
		}
	}
	return left, errors.Join(errs...)
}

// needed says why a sysctl that turned forwarding on is not to be changed back,
// "" if nothing speaks against that.
func (r *record) needed(name string, s setting) string {
	if now, err := readSysctl(name); err != nil || now == s.Was {
		return "" // somebody has turned it off already
	}
	if !s.untouched(name) {
		return "somebody else has set it since"
	}
	if file := wanted(name, s.Is); file != "" {
		return file + " sets it"
	}
	now, err := look(r.Device)
	if err != nil {
		return err.Error()
	}
	return now.since(r.Then)
}
