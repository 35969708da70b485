//go:build thaw

package machine

import "sync/atomic"

// Thawing makes every machine of the program continue as its frozen and thawed copy each
// time its driver has drained it. Thawed counts how often a machine did. They exist only
// in builds with the tag thaw, which the tests make. Such a server behaves, byte for
// byte, like any other.
var (
	Thawing atomic.Bool
	Thawed  atomic.Int64
)
