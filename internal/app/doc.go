// Package app makes a running server of a configuration: it opens sockets and
// the device, changes the host's network, wires policies, backends and
// observers, reloads, and takes all of it down again.
//
// # Concurrency
//
// Run owns everything until it returns. What the control socket asks for is
// safe for concurrent use.
package app
