// Package auth decides who may connect and what they get, and says what
// accounting records hold. It knows requests, verdicts and grants; package
// auth/radius asks a RADIUS server, Local a table of users.
//
// # Concurrency and ownership
//
// A Backend and an Accountant are safe for concurrent use. A Request belongs
// to the call that carries it.
package auth
