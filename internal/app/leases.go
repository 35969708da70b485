package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/internal/pool"
)

const (
	// leasesFile is the file in the state directory that says which addresses
	// users had last; leasesAside is where one goes that cannot be read.
	leasesFile  = "leases"
	leasesAside = "leases.damaged"

	leasesLimit = 64 << 20        // bytes that are read of it
	leasesName  = 1 << 10         // bytes of a user's name, at most: who has more has no line
	leasesPause = 3 * time.Second // from a change to its writing: changes come together
	leasesAgain = time.Minute     // until writing is tried again
)

// leases keeps the claims of pools in a file, so that users get their addresses
// again after a restart. Nothing depends on it: what is lost is a preference.
type leases struct {
	file  string
	log   *logrus.Logger
	pools []namedPool
}

type namedPool struct {
	name string
	*pool.Pool
}

// keepLeases restores what the pools leased before the last restart, and keeps
// what they lease from now on, until cleanup.
func (a *instance) keepLeases(ctx context.Context, dir string, cleanup *closers) {
	l := &leases{file: filepath.Join(dir, leasesFile), log: a.log, pools: []namedPool{{"pool", a.pool}, {"pool6", a.pool6}, {"delegate6", a.delegate6}}}
	l.restore()
	stop := a.background(context.WithoutCancel(ctx), l.keep) // connections outlive ctx
	cleanup.add(func() error { stop(); return nil })
}

// restore reads the file. One that is damaged is set aside.
func (l *leases) restore() {
	f, err := os.Open(l.file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var claims map[string][]pool.Claim
	if err == nil {
		claims, err = readLeases(io.LimitReader(f, leasesLimit))
		f.Close()
	}
	if err != nil {
		aside := filepath.Join(filepath.Dir(l.file), leasesAside)
		err = errors.Join(err, os.Rename(l.file, aside))
		l.log.WithFields(logrus.Fields{"file": l.file, "error": bounded(err.Error(), errorLimit), "set_aside": aside}).
			Warn("which addresses users had last cannot be read: they get others")
		return
	}
	for _, p := range l.pools {
		p.Restore(claims[p.name])
	}
	l.changed() // that is what the file has
}

// keep writes the file when claims have changed, some seconds later, and at the
// end.
func (l *leases) keep(ctx context.Context) {
	unwritten, told := false, false
	for ctx.Err() == nil {
		var again <-chan time.Time
		if unwritten {
			again = time.After(leasesAgain)
		}
		select {
		case <-ctx.Done():
		case <-again:
		case <-l.pools[0].Changed():
			unwritten = true
		case <-l.pools[1].Changed():
			unwritten = true
		case <-l.pools[2].Changed():
			unwritten = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(leasesPause):
		}
		if !l.changed() && !unwritten {
			continue
		}
		err := l.write()
		if unwritten = err != nil; unwritten && !told {
			l.log.WithField("error", err.Error()).Warn("which addresses users have cannot be written: after a restart they get others")
		}
		told = unwritten
	}
}

// changed reports whether a claim has changed that keep does not know of.
func (l *leases) changed() (any bool) {
	for _, p := range l.pools {
		select {
		case <-p.Changed():
			any = true
		default:
		}
	}
	return any
}

// The file's first and last line.
const (
	leasesHead = "# The address that each user had last. Written by the server; without it users get others."
	leasesEnd  = "# end"
)

// write replaces the file in one step.
func (l *leases) write() error {
	var b bytes.Buffer
	fmt.Fprintln(&b, leasesHead)
	for _, p := range l.pools {
		for _, c := range p.Claims() {
			if len(c.User) <= leasesName {
				fmt.Fprintf(&b, "%s %v %q\n", p.name, c.Addr, c.User)
			}
		}
	}
	fmt.Fprintln(&b, leasesEnd)
	tmp := l.file + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(b.Bytes()); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return os.Rename(tmp, l.file)
}

// readLeases reads claims, by their pool.
func readLeases(r io.Reader) (map[string][]pool.Claim, error) {
	all := map[string][]pool.Claim{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == leasesEnd {
			return all, nil
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		address, quoted, _ := strings.Cut(rest, " ")
		a, err := netip.ParseAddr(address)
		user, err2 := strconv.Unquote(quoted)
		if err != nil || err2 != nil {
			return nil, fmt.Errorf("line %d is not a pool, an address and a user's name in quotation marks", n)
		}
		all[name] = append(all[name], pool.Claim{User: user, Addr: a})
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, errors.New("it has no end")
}
