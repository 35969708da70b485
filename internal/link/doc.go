// Package link decides when a link to another router is dialled and when it is hung up,
// and which of its calls is the link where there are two.
//
// A Link is a machine like those of the protocols: it has no goroutine, lock, socket or
// clock. Its driver says what happens, with the time, drains NextEvent after every call,
// and calls HandleTimer at Deadline. It knows nothing of how a call is made: a call is a
// number.
package link
