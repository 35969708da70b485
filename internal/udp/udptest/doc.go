// Package udptest is a simulated network of hosts and NATs whose sockets are
// udp.Conns. What it loses, delays, repeats and reorders follows from a seed.
//
// It waits in nothing but sync.Cond and time.AfterFunc, so that it works inside
// a testing/synctest bubble: a reader that waits for a datagram is durably
// blocked, and delays pass in virtual time. Everything of one network must
// belong to the same bubble.
//
// All of it is safe for concurrent use.
package udptest
