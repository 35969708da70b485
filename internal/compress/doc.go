// Package compress is what PPP packets are compressed by: MPPC (RFC 2118) and Deflate
// (RFC 1979).
//
// # Use
//
// Sender makes compressed packets of a session's, and Receiver opens those of its peer.
// Both keep the little that a session has; the scratch space is an Encoder's or a
// Decoder's, of which each worker has one.
//
// What is sent is compressed packet by packet, without a history: a lost packet takes no
// other with it. What is received may refer to a history, as peers like it, and the
// receiver keeps that.
//
// # What it is not
//
// It negotiates nothing, and sends neither Reset-Requests nor Reset-Acks: Fault says when
// the history is lost, and package ppp asks the peer to begin with an empty one.
//
// # Concurrency and ownership
//
// The methods of Sender and Receiver may be called from any goroutine. An Encoder and a
// Decoder belong to one goroutine. Slices are borrowed for the call.
package compress
