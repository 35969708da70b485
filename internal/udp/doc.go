// Package udp is batched datagram sockets: several datagrams a system call,
// trains of equal datagrams in one buffer (UDP_GRO, UDP_SEGMENT), and both
// addresses of every datagram (PKTINFO), so that a reply leaves from the
// address that received.
//
// # What it is not
//
// It knows nothing of what datagrams carry, and does not wait: what a socket
// has no room for is dropped.
//
// # Concurrency and ownership
//
// One goroutine reads a Conn at a time, any number write. Buffers are borrowed
// for the call. Nothing is allocated for a datagram.
//
// Package udptest has the same Conn over a simulated network.
package udp
