// Package ike implements IKEv1 as a machine: one SA is one ISAKMP security
// association, as responder or initiator, with the Quick Mode and Informational
// exchanges that run under it (RFC 2407, 2408, 2409, 3706, 3947). Phase 1 is Main
// Mode, by pre-shared key or certificate (RFC 4754 for ECDSA), or, if the Policy
// admits it, Aggressive Mode by pre-shared key. Messages may be received and sent
// in fragments (MS-IKEE).
//
// # Use
//
// A responder answers a first message with Answer, which is pure: its only state
// is the Embryo that it returns. Only an answer of Aggressive Mode costs a
// Diffie-Hellman exchange, so drivers limit how many they give. Embryo.Again
// answers a duplicate of that message and of no other. The third message of the
// exchange makes an SA of the Embryo with Respond, and is then passed to
// HandlePacket like all messages that follow. An initiator begins with Initiate.
// Peek reads a header, to find the SA that a message is for. The driver of an SA
// passes packets to HandlePacket, calls HandleTimer at Deadline, and drains
// NextEvent after every call. Append freezes an SA whose events have been drained,
// and Resume continues from the frozen state.
//
// An error from HandlePacket says why this packet was dropped; the SA lives on.
// When an SA ends, its last event is Closed.
//
// Under an SA that is Authenticated either end begins Quick Modes: the peer
// whenever it likes, we with Negotiate. Each one ends in one of two ways: with
// ChildReceiving and later ChildSending, or with ChildFailed. If message 3 never
// comes, ChildFailed follows ChildReceiving; Confirm prevents that for a child
// that the peer is seen to use.
//
// # What an attacker gets
//
// Before the peer is authenticated we send no more bytes than we received, counted
// from message 1, and no timer makes us send anything. After that duplicates are
// answered from a cache a bounded number of times, message ids are remembered for
// the SA's life, and a message whose hash does not verify changes nothing. A
// message that is not verified never ends an SA.
//
// # What it is not
//
// It knows no socket, clock, SPI table or ESP transform: children are handed to
// the driver as keys and numbers, and the driver owns them from then on. When an
// ISAKMP SA expires, its children stay.
//
// # Concurrency and ownership
//
// An SA belongs to one goroutine. Diffie-Hellman computations, signatures and the
// Authority's check of certificates run inside HandlePacket.
// Slices passed in are borrowed for the call; slices in events are valid until
// the next call into the SA.
package ike
