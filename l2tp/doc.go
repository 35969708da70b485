// Package l2tp is L2TPv2 (RFC 2661) as a machine: one Tunnel is one control
// connection with its sessions, as LNS or as LAC, over a reliable control
// channel; and the data message header that the data path reads and writes.
//
// # Use
//
// NewLNS makes the tunnel that answers an SCCRQ, NewLAC one that sends it.
// Whoever drives it passes control messages to HandlePacket, says with
// HandleData that data came (which counts as liveness), calls HandleTimer at
// Deadline, and drains NextEvent after every call.
//
// An error from HandlePacket means that this message was dropped, and why;
// the tunnel lives on.
//
// # What it is not
//
// It knows no socket, address or port: the peer is whoever the driver says,
// in practice an IPsec SA. It carries no PPP.
//
// # Concurrency and ownership
//
// A Tunnel belongs to one goroutine. Slices passed in are borrowed for the
// call; slices in events are valid until the next call into the tunnel.
package l2tp
