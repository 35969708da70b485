package dataplane

import (
	"strconv"
	"sync/atomic"

	"github.com/adit-vpn/adit/ipsec"
)

// Drop says why the data path dropped a packet.
type Drop uint8

// The reasons for a drop. Those of package ipsec follow them: see DropESP.
const (
	DropShort       Drop = iota // too short for what it says it is
	DropUnknownSPI              // no such SA: silence
	DropInnerUDP                // inner UDP: length or ports
	DropL2TP                    // malformed L2TP data header
	DropDoubted                 // on an SA that may be another peer's than the sessions'
	DropTunnel                  // another tunnel than the view's
	DropSession                 // no such session
	DropPPP                     // malformed PPP frame
	DropGRE                     // GRE that is not as was agreed: flags, key, checksum
	DropLate                    // GRE that came after later packets, where they are numbered
	DropIP                      // malformed IP packet
	DropSource                  // a source that the session does not have
	DropClient                  // client to client, where that is not allowed
	DropInbox                   // the connection's inbox was full
	DropRate                    // more broadcast, multicast or DHCP than allowed
	DropNoRoute                 // no session has the destination
	DropNoPath                  // nothing to send with: no outbound SA or socket
	DropTooBig                  // longer than the session's MTU, answered if possible
	DropLoop                    // ESP of a link's own, which a route leads into the link
	DropRedirect                // an ICMP redirect: a client has one router and needs no other
	DropUnasked                 // a compressed packet, and nothing was agreed on
	DropHistory                 // a compressed packet that refers to one which is missing
	DropCompressed              // a compressed packet that is malformed
	DropExpands                 // a compressed packet that expands to more than a packet may have
	DropWriteUDP                // the socket took no more
	DropWriteDevice             // the device took no more
	DropPanic                   // the batch that a worker panicked on
	DropFilter                  // the session's filter denies it
	DropSourceRoute             // the session has a filter, and the packet a route of its own, around it
	DropOverRate                // faster than the session may be
	dropESP
)

// NumDrops is how many reasons there are.
const NumDrops = int(dropESP) + int(ipsec.DropRandom) + 1

var dropNames = [dropESP]string{
	"short", "unknown-spi", "inner-udp", "l2tp", "doubted", "tunnel", "session", "ppp", "gre", "late",
	"ip", "source", "client-to-client", "inbox", "rate", "no-route",
	"no-path", "too-big", "loop", "redirect",
	"compressed-unasked", "compressed-history", "compressed-damaged", "compressed-expands", "write-udp", "write-device", "panic", "filter", "source-route", "over-rate",
}

// DropESP is the reason for a packet that package ipsec dropped.
func DropESP(d ipsec.Drop) Drop { return dropESP + Drop(d) }

// String names the reason as metrics do.
func (d Drop) String() string {
	switch {
	case d < dropESP:
		return dropNames[d]
	case int(d) < NumDrops:
		return "esp-" + ipsec.Drop(d-dropESP).String()
	default:
		return "Drop(" + strconv.Itoa(int(d)) + ")"
	}
}

// tally is what one worker counts. Only it writes; anybody reads.
type tally struct {
	drops      [NumDrops]atomic.Uint64
	in, out    direction
	ike        atomic.Uint64
	keepalives atomic.Uint64
	panics     atomic.Uint64
	_          [64]byte
}

func (t *tally) drop(d Drop, n int) {
	if n > 0 {
		t.drops[d].Add(uint64(n))
	}
}
