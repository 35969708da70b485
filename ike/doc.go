// Package ike is IKEv1 as a machine: one SA is one ISAKMP security
// association, responder or initiator, with the Quick Mode and Informational
// exchanges that run under it (RFC 2407, 2408, 2409, 3706, 3947). Phase 1 is
// Main Mode, by pre-shared key or certificate (RFC 4754 for ECDSA), or, where
// the Policy admits it, Aggressive Mode by pre-shared key. Messages may come and
// leave in fragments (MS-IKEE).
//
// # Use
//
// A responder answers a first message with Answer, which is pure and keeps no
// state but the Embryo that it returns; only Aggressive Mode's costs a
// Diffie-Hellman exchange, so that a driver rations it. Embryo.Again answers a duplicate of
// that message and of no other. The third message of that exchange makes an SA
// of the Embryo with Respond, and is passed to HandlePacket like all that
// follow. An initiator begins with Initiate. Peek reads a header, to find the
// SA that a message is for. Whoever drives an SA passes packets to
// HandlePacket, calls HandleTimer at Deadline, and drains NextEvent after every
// call.
//
// An error from HandlePacket means that this packet was dropped, and why; the
// SA lives on. An SA that has ended says so with the event Closed, its last.
//
// Under an SA that is Authenticated either end begins Quick Modes: the peer at
// will, we with Negotiate. Each ends in one of two ways: ChildReceiving, and
// later ChildSending, or ChildFailed. A ChildFailed may follow ChildReceiving
// when message 3 stays out; Confirm prevents that for a child that the peer is
// seen to use.
//
// # What an attacker gets
//
// Before the peer is authenticated no more bytes leave than came in, counted
// from message 1, and nothing leaves by a timer. After that duplicates are
// answered from a cache a bounded number of times, message ids are remembered
// for the SA's life, and what a hash does not verify changes nothing. No
// message that is not verified ends an SA.
//
// # What it is not
//
// It knows no socket, clock, SPI table or ESP transform: children are handed
// to the driver as keys and numbers, and the driver owns them from then on.
// Expiry of an ISAKMP SA removes only it.
//
// # Concurrency and ownership
//
// An SA belongs to one goroutine. Diffie-Hellman, signatures and the verdict of
// the Authority run inside HandlePacket.
// Slices passed in are borrowed for the call; slices in events are valid until
// the next call into the SA.
package ike
