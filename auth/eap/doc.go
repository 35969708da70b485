// Package eap authenticates users by EAP (RFC 3748) on this server, without one of RADIUS
// that knows methods of EAP: Backend has an exchange with the peer for each attempt. A method
// is a small machine that makes the next Request of the peer's last Response; packets come
// and go as whole packets of EAP.
//
// It is not how EAP is carried in PPP, which is package ppp's, nor how it passes through to a
// server of RADIUS, which is auth/radius's.
package eap
