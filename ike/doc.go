// Package ike is IKEv1 as a machine: one SA is one ISAKMP security
// association, responder or initiator, with the Quick Mode and Informational
// exchanges that run under it (RFC 2407, 2408, 2409, 3706, 3947).
//
// # Use
//
// A responder answers a first message with Answer, which is pure and keeps no
// state but the Embryo that it returns. The third message of that exchange
// makes an SA of the Embryo with Respond. An initiator begins with Initiate.
// Whoever drives an SA passes packets to HandlePacket, calls HandleTimer at
// Deadline, and drains NextEvent after every call.
//
// An error from HandlePacket means that this packet was dropped, and why; the
// SA lives on. An SA that has ended says so with the event Closed.
//
// # What it is not
//
// It knows no socket, clock, SPI table or ESP transform: children are handed
// to the driver as keys and numbers, and the driver owns them from then on.
// Expiry of an ISAKMP SA removes only it.
//
// # Concurrency and ownership
//
// An SA belongs to one goroutine. Diffie-Hellman runs inside HandlePacket.
// Slices passed in are borrowed for the call; slices in events are valid until
// the next call into the SA.
package ike
