package hostnet

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	sysctlDir   = "/proc/sys"
	forwarding  = "net/ipv4/ip_forward"
	conf6       = "net/ipv6/conf"
	forwarding6 = conf6 + "/all/forwarding"
	conf4       = "net/ipv4/conf"
	redirects   = conf4 + "/all/accept_redirects"
)

// ours matches the names of all sysctls that this package changes.
var ours = regexp.MustCompile(`^net/(ipv4/ip_forward|ipv6/conf/[^/]+/(forwarding|accept_ra))$`)

// number matches the values that they have.
var number = regexp.MustCompile(`^[0-9]{1,10}$`)

// along matches those that the kernel changes along with them: to forward is set
// for each device, and whether redirects are believed, which IPv4 couples to it.
var along = regexp.MustCompile(`^net/(ipv4/conf/all/accept_redirects|ipv[46]/conf/[^/]+/forwarding)$`)

// setting is a sysctl that was changed: what it was, what it is now, and when it
// was written. Writing it again changes that time, even with the same value.
type setting struct {
	Was     string    `json:"was"`
	Is      string    `json:"is"`
	Written time.Time `json:"written"`
	Theirs  bool      `json:"-"` // somebody else was seen to write it

	// Others are the names of the same by device, and when they were written: whoever has
	// turned forwarding on for one device relies on it, too.
	Others map[string]time.Time `json:"others,omitempty"`
}

func readSysctl(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(sysctlDir, name))
	return strings.TrimSpace(string(b)), err
}

func writeSysctl(name, value string) error {
	return os.WriteFile(filepath.Join(sysctlDir, name), []byte(value+"\n"), 0o644)
}

// mayWrite reports why a sysctl cannot be written, and leaves it as it is: without
// O_TRUNC the kernel notes nothing.
func mayWrite(name string) error {
	f, err := os.OpenFile(filepath.Join(sysctlDir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// writtenAt is when a sysctl was last written: opening it for that truncates
// it, which the kernel notes.
func writtenAt(name string) (time.Time, error) {
	info, err := os.Stat(filepath.Join(sysctlDir, name))
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// set changes a sysctl, and writes what it was to the undo record first.
func (h *Host) set(name, was, value string) error {
	if h.undo.Sysctls == nil {
		h.undo.Sysctls = map[string]setting{}
	}
	h.undo.Sysctls[name] = setting{Was: was, Is: value}
	if err := h.undo.save(h.file); err != nil {
		return err
	}
	if err := writeSysctl(name, value); err != nil {
		return err
	}
	at, err := writtenAt(name)
	if err != nil {
		return err
	}
	h.watch.add(name, name)
	done := setting{Was: was, Is: value, Written: at, Others: map[string]time.Time{}}
	for _, other := range others(name) {
		if at, err := writtenAt(other); err == nil {
			done.Others[other] = at
			h.watch.add(other, name)
		}
	}
	h.undo.Sysctls[name] = done
	return h.undo.save(h.file)
}

// others are the sysctls that mean for one device what a switch means for all,
// or are the switch by another name.
func others(name string) (list []string) {
	switch name {
	case forwarding:
		list, _ = filepath.Glob(filepath.Join(sysctlDir, conf4, "*/forwarding")) // the patterns are good
	case forwarding6:
		list, _ = filepath.Glob(filepath.Join(sysctlDir, conf6, "*/forwarding"))
	}
	for i := range list {
		list[i] = strings.TrimPrefix(list[i], sysctlDir+"/")
	}
	return slices.DeleteFunc(list, func(other string) bool { return other == name })
}

// noteAlong keeps in the record what the kernel changes when forwarding is turned
// off again: some devices may have forwarded before all did, and an administrator
// may have told the host to believe no redirects.
func (h *Host) noteAlong(name string) error {
	if h.undo.Along == nil {
		h.undo.Along = map[string]string{}
	}
	devices, err := forwardAlready(name)
	if err != nil {
		return fmt.Errorf("listing the sysctls of devices: %w", err)
	}
	for _, one := range devices {
		if v, err := readSysctl(one); err == nil {
			h.undo.Along[one] = v
		}
	}
	if v, err := readSysctl(redirects); err == nil && name == forwarding && v == "0" {
		h.undo.Along[redirects] = v
	}
	return nil
}

// forwardAlready are the sysctls by which single devices forward, while a switch
// for all of them is off.
func forwardAlready(name string) (list []string, err error) {
	dir := conf4
	if name == forwarding6 {
		dir = conf6
	}
	devices, err := os.ReadDir(filepath.Join(sysctlDir, dir))
	for _, d := range devices {
		one := dir + "/" + d.Name() + "/forwarding"
		if v, err := readSysctl(one); err == nil && v != "0" && d.Name() != "all" {
			list = append(list, one)
		}
	}
	return list, err
}

// restoreAlong sets what the kernel has changed along with a sysctl as it was.
func (r *record) restoreAlong(name string) error {
	var errs []error
	for _, one := range slices.Sorted(maps.Keys(r.Along)) {
		if strings.HasPrefix(one, conf6) == (name == forwarding6) {
			errs = append(errs, setting{Was: r.Along[one]}.restore(one))
		}
	}
	return errors.Join(errs...)
}

// untouched reports whether a sysctl is still as it was set here.
func (s setting) untouched(name string) bool {
	value, err := readSysctl(name)
	if err != nil || value != s.Is || s.Theirs {
		return false
	}
	if s.Written.IsZero() {
		return true // the server died between writing and looking when that was
	}
	for other, then := range s.Others {
		if at, err := writtenAt(other); err == nil && !at.Equal(then) { // else its device is gone
			return false
		}
	}
	at, err := writtenAt(name)
	return err == nil && at.Equal(s.Written)
}

// restore changes a sysctl back.
func (s setting) restore(name string) error {
	if err := writeSysctl(name, s.Was); err != nil && !errors.Is(err, fs.ErrNotExist) { // its device may be gone
		return fmt.Errorf("setting %s back to %s: %w", strings.ReplaceAll(name, "/", "."), s.Was, err)
	}
	return nil
}
