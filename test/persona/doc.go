// Package persona models the L2TP/IPsec clients that are built into operating systems,
// byte for byte: what each of them sends, in which order and when, and what it refuses.
//
// A persona is straight-line code on a host of a simulated network, with its own codecs
// and cryptography (package wire): it shares no code with the server that it tests. What
// is known about a client is in its Profile. When the server sends something that the
// client would refuse, the persona names the client's rule that was broken, and the test
// fails.
//
// # Concurrency
//
// A Client belongs to one testing/synctest bubble. One goroutine runs it. Its methods
// send orders to that goroutine and may be called from any goroutine.
package persona
