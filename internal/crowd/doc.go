// Package crowd keeps what strangers make us hold, by where they come from.
//
// An Origin is the set of prefixes by which an address is counted, a Census counts by
// them, and a Crowd keeps things in the order of age. When there is no room, the stranger
// with the most yields: a flood displaces its own members.
//
// # What it is not
//
// It sets no bounds: the owner of a Crowd says how many members there may be, and ends
// what yields.
//
// # Concurrency and ownership
//
// Nothing here locks: the owner of a Crowd or a Census guards it.
package crowd
