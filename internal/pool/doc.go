// Package pool leases addresses to users: from networks or ranges, sticky by
// user, with static addresses beside them.
//
// # Concurrency
//
// A Pool is safe for concurrent use; its lock is held for map operations only.
package pool
