// Package ipsec is ESP in transport mode (RFC 4303): security associations,
// suites, anti-replay, and Sealer and Opener, which protect and open whole
// batches of packets in place.
//
// # What it is not
//
// It negotiates no keys, looks up no SPI and knows no address: a batch element
// names its SA. The caller builds and strips outer headers. The payload is
// always an inner UDP datagram; extended sequence numbers are not supported.
//
// # Concurrency and ownership
//
// An SA is immutable but for its sequence numbers, byte counts, window and its
// dead mark, which its own lock guards. A Sealer or an Opener belongs to one
// worker: its scratch space is not shared. The caller of Seal holds the Outbound's lock
// from Seal until the packets are written, so that the order on the wire is the order of
// the sequence numbers.
//
// Buffers are borrowed for the call.
package ipsec
