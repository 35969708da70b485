// Package radius authenticates users against RADIUS servers and sends them
// accounting records (RFC 2865, 2866, 2868, 2869, 2548).
//
// Every Access-Request carries a Message-Authenticator, first of its
// attributes, and every reply to one must, unless the configuration gives that
// up: without it a reply can be forged (CVE-2024-3596).
//
// # What it is not
//
// It keeps no session and judges no password. Attributes are coded by
// layeh.com/radius; the exchange is our own, because it must bind a reply to
// its request by more than the identifier.
//
// # Concurrency
//
// A Client is safe for concurrent use. Account never blocks: records wait in a
// bounded queue and keep the order of their session.
package radius
