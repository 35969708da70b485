// Package isakmp is the wire codec of ISAKMP and IKEv1: headers, payload
// chains and the payloads of RFC 2407, 2408, 2409, 3706 and 3947, with the
// private-use payload numbers of the NAT-T drafts that are still in the field.
//
// It deals with bytes only. Package ike decides which payload belongs in which
// message, what a hash covers and what a number means for policy.
//
// # Reading and writing
//
// ParseHeader takes the header off a message, Chain splits what follows into Raw
// payloads, and each payload type has a Parse function that reads a Raw's body and
// a method AppendBody that is its inverse. Append writes a chain and AppendMessage
// a whole message. An unknown payload is kept as a Raw.
//
// Every length is checked before it is used. Reserved bytes are ignored when read,
// because some real clients fill them, and are zero when written. A malformed
// input yields an error that wraps ErrMalformed.
//
// # Ownership
//
// Parsed values alias the bytes that they were parsed from. Nothing here has
// state; everything is safe for concurrent use.
package isakmp
