// Package pool manages the addresses inside the tunnels. A Plan says whose they are, and
// decides what address, prefix or route a user can have, whoever grants it: local users,
// RADIUS, a reload. A Pool leases them: from networks or ranges, sticky by user, with
// static addresses beside them.
//
// It knows no configuration and no session: internal/vpn knows whether another user has an
// address already.
//
// # Concurrency
//
// A Pool is safe for concurrent use; its lock is held for map operations only.
package pool
