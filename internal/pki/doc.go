// Package pki is what adit needs of X.509: it judges the certificates that IKE
// peers show, loads the server's own, and runs a small certificate authority
// for administrators who have none.
//
// An Authority verifies a chain as RFC 4945 asks of IKE: signatures up to a
// trusted CA, validity, key usage, extended key usage, and revocation lists. An
// Identity is a private key with its chain. A CA issues certificates that the
// clients built into operating systems accept, and wraps them in the files that
// they import.
//
// # What it is not
//
// It speaks no protocol, fetches nothing from a network (no OCSP, no
// distribution points), and does not prove that a peer holds a private key:
// the exchange's signature does.
//
// # Concurrency and ownership
//
// An Authority and an Identity are immutable and safe for concurrent use. A CA
// is files in a directory: one process at a time changes it, which a lock on
// the directory ensures.
package pki
