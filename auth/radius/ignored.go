package radius

import (
	"maps"
	"strings"
	"sync"
)

// ignoredLog knows which attributes servers have sent that have no effect: each is said once a
// server, and counted always.
type ignoredLog struct {
	mu    sync.Mutex
	said  map[[2]string]bool // server and name
	count map[string]uint64  // by name
}

// maxIgnored bounds the names: those of the table, and what servers make up.
const (
	maxIgnored = 256
	maxSaid    = 1024 // lines in the log of one run
)

// fresh counts what a server has sent, and returns the texts that were not said yet.
func (l *ignoredLog) fresh(server string, list []Ignored) (texts []string) {
	if len(list) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said == nil {
		l.said, l.count = map[[2]string]bool{}, map[string]uint64{}
	}
	for _, i := range list {
		name, _, _ := strings.Cut(i.Name, ` "`) // what a server says is no name of a metric
		if _, ok := l.count[name]; !ok && len(l.count) >= maxIgnored {
			name = "others"
		}
		l.count[name]++
		if at := [2]string{server, i.Name}; !l.said[at] && len(l.said) < maxSaid {
			l.said[at] = true
			texts = append(texts, i.Name+" has no effect: "+i.Why)
		}
	}
	return texts
}

// IgnoredAttributes is how often servers have sent attributes that have no effect, by name.
func (c *Client) IgnoredAttributes() map[string]uint64 {
	c.ignored.mu.Lock()
	defer c.ignored.mu.Unlock()
	return maps.Clone(c.ignored.count)
}
