package app

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/adit-vpn/adit/internal/pool"
)

const (
	// leasesFile is the file in the state directory that says which addresses
	// users had last.
	leasesFile = "leases"

	leasesHead  = "# The address that each user had last. Written by the server; without it users get others."
	leasesPause = 3 * time.Second
	leasesAgain = time.Minute
)

// leases keeps the claims of pools in a file, so that users get their addresses
// again after a restart. Nothing depends on it: what is lost is a preference.
type leases struct {
	stateFile
	pools []namedPool
}

type namedPool struct {
	name string
	*pool.Pool
}

// keepLeases restores what the pools leased before the last restart, and keeps
// what they lease from now on, until cleanup.
func (a *instance) keepLeases(ctx context.Context, dir string, cleanup *closers) {
	l := &leases{stateFile: stateFile{
		path: filepath.Join(dir, leasesFile), head: leasesHead, pause: leasesPause, again: leasesAgain,
		unread:    "which addresses users had last cannot be read: they get others",
		unwritten: "which addresses users have cannot be written: after a restart they get others",
		log:       a.log, dirty: make(chan struct{}, 1),
	}}
	for _, p := range []namedPool{{"pool", a.pool}, {"pool6", a.pool6}, {"delegate6", a.delegate6}} {
		l.pools = append(l.pools, p)
		p.Named(func(name string, of *pool.Pool) { l.pools = append(l.pools, namedPool{p.name + ":" + name, of}) })
	}
	for _, p := range l.pools {
		p.Report(l.dirty)
	}
	l.restore()
	stop := a.background(context.WithoutCancel(ctx), func(ctx context.Context) { l.keep(ctx, l.lines) }) // connections outlive ctx
	cleanup.add(func() error { stop(); return nil })
}

// restore gives the pools the claims that the file has.
func (l *leases) restore() {
	claims := map[string][]pool.Claim{}
	if !l.read(func(line string) error {
		name, rest, _ := strings.Cut(line, " ")
		var c pool.Claim
		if err := c.UnmarshalText([]byte(rest)); err != nil {
			return fmt.Errorf("is not a pool, an address and a user's name in quotation marks: %w", err)
		}
		claims[name] = append(claims[name], c)
		return nil
	}) {
		return
	}
	for _, p := range l.pools {
		p.Restore(claims[p.name])
	}
	l.changed() // that is what the file has
}

// lines writes the claims.
func (l *leases) lines(b *bytes.Buffer) error {
	for _, p := range l.pools {
		for _, c := range p.Claims() {
			if len(c.User) > stateName {
				continue
			}
			text, err := c.MarshalText()
			if err != nil {
				return err
			}
			fmt.Fprintf(b, "%s %s\n", p.name, text)
		}
	}
	return nil
}
