package radius

import (
	"fmt"
	"maps"
)

// dynamicDrop is why a datagram is not answered.
type dynamicDrop uint8

const (
	dynamicMalformed dynamicDrop = iota + 1
	dynamicCode                  // neither CoA-Request nor Disconnect-Request
	dynamicSource                // nobody there may ask
	dynamicForged                // the secret is another one
	dynamicUnsigned
	dynamicStale
	dynamicUndated  // it has to have an Event-Timestamp
	dynamicReplayed // it has been done, and its answer is kept no longer
	dynamicBusy
	dynamicFull // as many have come as can be told from replays
	dynamicDrops
)

func (d dynamicDrop) String() string {
	return [...]string{"", "malformed", "code", "source", "forged", "unsigned", "stale", "undated", "replayed", "busy", "full"}[d]
}

// dynamicCounts are what has come.
type dynamicCounts struct {
	dropped [dynamicDrops]uint64
	repeats uint64
	panics  uint64
	results map[[2]string]uint64 // by what was asked for, and the Error-Cause
}

func (c *dynamicCounts) answered(what string, no *refused) {
	if c.results == nil {
		c.results = map[[2]string]uint64{}
	}
	result := "done"
	if no != nil {
		result = fmt.Sprint(uint32(no.cause))
	}
	c.results[[2]string{what, result}]++
}

// drop counts a datagram that is not answered.
func (d *Dynamic) drop(why dynamicDrop) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count.dropped[why]++
	return nil
}

// DynamicStats is what has come so far.
type DynamicStats struct {
	Dropped map[string]uint64    // by reason
	Results map[[2]string]uint64 // by what was asked for, and "done" or the Error-Cause
	Repeats uint64
	Panics  uint64 // of these requests some were refused, some dropped
}

// Stats says what has come so far.
func (d *Dynamic) Stats() DynamicStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	st := DynamicStats{Dropped: map[string]uint64{}, Results: maps.Clone(d.count.results), Repeats: d.count.repeats, Panics: d.count.panics}
	for why := dynamicMalformed; why < dynamicDrops; why++ {
		st.Dropped[why.String()] = d.count.dropped[why]
	}
	return st
}
