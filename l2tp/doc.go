// Package l2tp implements L2TPv2 (RFC 2661) as a machine: one Tunnel is one
// control connection with its sessions, as LNS or as LAC, over a reliable control
// channel. It also has the header of data messages, which the data path reads and
// writes.
//
// # Use
//
// NewLNS makes a tunnel that answers an SCCRQ, NewLAC one that sends it. The
// driver passes control messages to HandlePacket, reports with HandleData that
// data came (which counts as liveness), calls HandleTimer at Deadline, and drains
// NextEvent after every call. Append freezes a tunnel whose events have been
// drained, with its sessions, and Resume continues from the frozen state.
//
// An error from HandlePacket says why this message was dropped; the tunnel lives
// on.
//
// # What it is not
//
// It knows no socket, address or port: the driver decides who the peer is, in
// practice by an IPsec SA. It does not process PPP.
//
// # Concurrency and ownership
//
// A Tunnel belongs to one goroutine. Slices passed in are borrowed for the
// call; slices in events are valid until the next call into the tunnel.
package l2tp
