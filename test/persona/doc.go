// Package persona models the L2TP/IPsec clients that are built into operating
// systems, byte for byte: what each of them sends, in which order and when,
// and what it refuses.
//
// A persona is straight-line code over a host of a simulated network, on its
// own codecs and cryptography (package wire): it shares nothing with the server
// that it tests. What is known of a client is in its Profile. When the server
// sends what that client would refuse, the persona says which of the client's
// rules was broken, and the test fails.
//
// # Concurrency
//
// A Client belongs to one testing/synctest bubble. One goroutine runs it; its
// methods give orders to that goroutine and may be called from any.
package persona
