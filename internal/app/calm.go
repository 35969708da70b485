package app

import (
	"sync"
	"time"
)

// calm bounds how many lines of a kind are logged a second: strangers can
// cause as many events as they send packets. Metrics count all of them.
type calm struct {
	mu     sync.Mutex
	second time.Time
	left   int
	missed int
}

// calmRate is how many lines strangers cause a second at most.
const calmRate = 10

// allow reports whether one more line may be written, and how many were not
// since the last.
func (c *calm) allow(now time.Time) (missed int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := now.Sub(c.second); age >= time.Second || age < 0 {
		c.second, c.left = now, calmRate
	}
	if c.left == 0 {
		c.missed++
		return 0, false
	}
	c.left--
	missed, c.missed = c.missed, 0
	return missed, true
}
