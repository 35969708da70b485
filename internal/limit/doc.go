// Package limit has what sessions are limited to, as values and as text: rates, octets,
// filters of packets, hours of the week.
//
// It decides about one packet, or one time. It enforces nothing: the data path has the
// buckets that a rate fills, and internal/session counts what was carried.
//
// In is from the client, Out is to it, as in RADIUS accounting.
//
// Everything in it is an immutable value, and safe for concurrent use.
package limit
