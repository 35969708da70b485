// Package dataplane carries packets between sockets and a device: slots, views,
// sessions, routes and the two packet walks.
//
// # Use
//
// A connection takes a Slot, allocates inbound SPIs from it, and publishes an
// immutable View whenever something about it changed: that one atomic store is
// the whole interface from control to data. The other way go Notes, which a
// full Inbox loses. Run carries packets until its context ends, and closes the
// sockets and the device.
//
// # What it is not
//
// It knows nothing of IKE, of L2TP control messages, of PPP but the framing
// and the compression of packets, of users or of configuration.
//
// # Concurrency and ownership
//
// A worker goroutine owns its socket or its device queue and its scratch space;
// it handles a batch from read to write and takes no lock but those of SAs.
// Outbound locks are taken in the order of slots, and held until the write has
// returned, so that the order on the wire is the order of sequence numbers.
// Slices passed in are borrowed for the call; so are those passed to Control
// and Inbox.
package dataplane
