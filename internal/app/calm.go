package app

import (
	"cmp"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/auth"
)

// calm bounds how many lines are logged a second: peers can cause as many events as
// they send packets. Metrics count all of them. One source, one kind of event and one
// user get only a part of them, so that a flood does not hide everything else.
type calm struct {
	mu      sync.Mutex
	second  time.Time
	sum     int            // lines of this second about peers without a user
	parts   map[string]int // and by kind, source and user
	missed  map[string]int // by kind, since the last summary
	sources map[string]int // the sources of those
	since   time.Time      // of the first of them
	missing atomic.Bool    // there are some
}

const (
	// calmRate is how many lines peers without a user cause a second at most.
	calmRate = 12
	// calmPart is how many of them are of one kind or source, or of one user.
	calmPart = 6
	// calmEvery is how often a line says what was left out.
	calmEvery = 10 * time.Second
	// maxCalm bounds the sources and users that are counted, which are as many as
	// there are addresses and names; those beyond are counted together.
	maxCalm = 1024
)

// allow reports whether a line of a kind may be written now: about a user, or else
// about somebody at source.
func (c *calm) allow(now time.Time, kind string, source netip.Addr, user string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := now.Sub(c.second); age >= time.Second || age < 0 || c.parts == nil {
		c.second, c.sum, c.parts = now, 0, map[string]int{}
	}
	from := "source " + calmSource(source)
	parts := []string{"kind " + kind, from}
	if user != "" {
		parts = []string{"user " + user}
	}
	ok := user != "" || c.sum < calmRate
	for i, p := range parts {
		if _, known := c.parts[p]; !known && len(c.parts) >= maxCalm {
			parts[i] = "others"
		}
		ok = ok && c.parts[parts[i]] < calmPart
	}
	if !ok {
		c.miss(now, kind, from)
		return false
	}
	if user == "" {
		c.sum++
	}
	for _, p := range parts {
		c.parts[p]++
	}
	return true
}

func (c *calm) miss(now time.Time, kind, source string) {
	if c.missed == nil {
		c.missed, c.sources, c.since = map[string]int{}, map[string]int{}, now
		c.missing.Store(true)
	}
	c.missed[kind]++
	if _, known := c.sources[source]; known || len(c.sources) < maxCalm {
		c.sources[source]++
	}
}

// leftOut is what was not logged.
type leftOut struct {
	lines int
	kind  string // of most of them
	worst string // source of most of them
}

// summary returns what was left out, once in calmEvery.
func (c *calm) summary(now time.Time) (l leftOut, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.missed == nil || now.Sub(c.since) < calmEvery && !now.Before(c.since) {
		return leftOut{}, false
	}
	for _, n := range c.missed {
		l.lines += n
	}
	l.kind, l.worst = most(c.missed), most(c.sources)
	c.missed, c.sources = nil, nil
	c.missing.Store(false)
	return l, true
}

// most is the key of the largest count.
func most(counts map[string]int) (key string) {
	for k, n := range counts {
		if d := cmp.Compare(n, counts[key]); d > 0 || d == 0 && k < key {
			key = k
		}
	}
	return key
}

// calmSource names what counts as one source: an address, or a network.
func calmSource(a netip.Addr) string {
	p := auth.SourceOf(a)
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
