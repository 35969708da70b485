//go:build race

package dataplane

// raced says that the race detector is on: then sync.Pool, which the library uses, forgets
// some of what it holds on purpose.
const raced = true
