// Package isakmp is the wire codec of ISAKMP and IKEv1: headers, payload
// chains and the payloads of RFC 2407, 2408, 2409, 3706 and 3947, with the
// private-use payload numbers of the NAT-T drafts that are still in the field.
//
// It knows bytes, not protocol: which payload belongs into which message, what
// a hash covers and what a number means for policy is for package ike.
//
// # Reading and writing
//
// ParseHeader takes the header off a message, Chain splits what follows into
// Raw payloads, and one Parse function a payload type reads a Raw's body.
// Every payload type has AppendBody, its inverse; Append writes a chain and
// AppendMessage a whole message. An unknown payload is a Raw and survives.
//
// Every length is checked before it is used. Reserved bytes are ignored when
// read, because real clients fill some of them, and are zero when written.
// A malformed input yields an error that wraps ErrMalformed.
//
// # Ownership
//
// Parsed values alias the bytes that they were parsed from. Nothing here has
// state; everything is safe for concurrent use.
package isakmp
