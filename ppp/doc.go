// Package ppp is one PPP link as a machine: the RFC 1661 automaton, LCP, the
// authentication protocols, IPCP and IPV6CP, as authenticator and as peer.
//
// # Use
//
// New makes a link and Start opens it. Whoever drives it passes frames to
// HandlePacket, verdicts to HandleAuth, calls HandleTimer at Deadline, and
// drains NextEvent after every call. IP packets do not come here once the
// network is up: the driver's data path carries them, and says so with
// HandleData, which counts as liveness.
//
// An error from HandlePacket means that this frame was dropped, and why; the
// link lives on.
//
// # What it is not
//
// It decides nobody's password and leases no address: AuthRequest asks, and
// the answer carries both.
//
// # Concurrency and ownership
//
// A Link belongs to one goroutine. Slices passed in are borrowed for the call;
// slices in events are valid until the next call into the link.
package ppp
