// Package radius authenticates users against RADIUS servers and sends them
// accounting records (RFC 2865, 2866, 2868, 2869, 2548), over UDP or TLS (RFC 6614).
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
// # Structure
//
// A Client has a set of servers, which Replace changes as a whole. Each server has a service
// for each kind of request, with links (sockets or TLS connections, 256 identifiers each) that
// live long, and a health: a machine that says whether it lives. A question is put to one
// service at a time, and never to two.
//
// # Concurrency
//
// A Client is safe for concurrent use. A service's state is under its lock, which is never
// held while something blocks. Account never blocks: records wait in package ledger and
// keep the order of their session; deliverer sends them.
package radius
