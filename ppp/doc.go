// Package ppp is one PPP link as a machine: the RFC 1661 automaton, LCP, the
// authentication protocols, IPCP, IPV6CP and CCP, as authenticator and as peer.
//
// # Use
//
// New makes a link and Start opens it. The driver passes frames to HandlePacket and
// verdicts to HandleAuth, calls HandleTimer at Deadline, and drains NextEvent after every
// call. Once the network is up, IP packets bypass the link: the driver's data path
// carries them, and the driver reports them with HandleData, which counts as liveness.
// Append freezes a link whose events are drained, and Resume makes a link that continues
// from the frozen state.
//
// An error from HandlePacket says why this frame was dropped; the link continues.
//
// # What it is not
//
// The package checks no passwords and leases no addresses: AuthRequest asks the driver,
// and the answer carries the verdict and the addresses. It compresses nothing: Compression
// tells the driver what is agreed, and Damaged is called when a packet could not be opened.
//
// # Concurrency and ownership
//
// A Link belongs to one goroutine. Slices passed in are borrowed for the call; slices in
// events are valid until the next call into the link.
package ppp
