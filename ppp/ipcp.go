package ppp

import (
	"net/netip"
	"slices"
	"time"
)

// IPCP options (RFC 1332, section 3; RFC 1877, section 1). NBNS (130 and 132)
// and Van Jacobson compression (2) are rejected like all that is unknown.
const (
	ipcpAddress = 3
	ipcpDNS1    = 129
	ipcpDNS2    = 131
)

// ipcpState is what IPCP negotiates.
type ipcpState struct {
	ncpState
	network Network // as authenticator: granted; as client: learnt
	dns     [2]netip.Addr
	no      [3]bool // options that the peer rejected: address, DNS1, DNS2
	naked   [3]unheeded
	asked   bool // the peer was asked to name its address
}

// ipcp is the IPCP layer of a link.
type ipcp struct{ *Link }

func (y ipcp) protocol() uint16  { return ProtocolIPCP }
func (y ipcp) auto() *automaton  { return &y.s.ipcp.automaton }
func (y ipcp) common() *ncpState { return &y.s.ipcp.ncpState }

// begin forgets what an earlier negotiation found.
func (y ipcp) begin() {
	s := &y.s.ipcp
	s.no, s.naked, s.asked = [3]bool{}, [3]unheeded{}, false
}

// options composes our Configure-Request: as authenticator only our address,
// since macOS rejects more; as client an address and two DNS servers.
func (y ipcp) options() []byte {
	s := &y.s.ipcp
	b := []byte{}
	if !y.env.Config.Client {
		if a, ok := four(s.network.Local); ok && !s.no[0] {
			b = appendOption(b, ipcpAddress, a[:]...)
		}
		return b
	}
	for i, ask := range []struct {
		kind byte
		addr netip.Addr
	}{{ipcpAddress, s.network.Peer}, {ipcpDNS1, s.dns[0]}, {ipcpDNS2, s.dns[1]}} {
		if !s.no[i] {
			a, _ := four(ask.addr)
			b = appendOption(b, ask.kind, a[:]...)
		}
	}
	return b
}

// four returns the bytes of an IPv4 address, and whether it is one that may be
// given out: 0.0.0.0 is a request for one.
func four(a netip.Addr) ([4]byte, bool) {
	if a = a.Unmap(); !a.Is4() || a.IsUnspecified() {
		return [4]byte{}, false
	}
	return a.As4(), true
}

// judge decides about the peer's Configure-Request.
func (y ipcp) judge(opts []option) (byte, []byte) {
	v := newVerdict(y.Link, y)
	if y.env.Config.Client {
		y.judgeServer(&v, opts)
	} else {
		y.judgeClient(&v, opts)
	}
	return v.result()
}

// judgeServer takes the server's address and nothing else. We have no better
// one to offer, so what will not do is rejected.
func (y ipcp) judgeServer(v *verdict, opts []option) {
	for _, o := range opts {
		if a, ok := optionAddr(o); o.kind != ipcpAddress || !ok || a.IsUnspecified() {
			v.reject(o)
		}
	}
}

// judgeClient gives the peer the address and the DNS servers that were granted
// to it. An option is never answered with 0.0.0.0: without a value it is
// rejected.
func (y ipcp) judgeClient(v *verdict, opts []option) {
	s := &y.s.ipcp
	named := false
	for _, o := range opts {
		var want netip.Addr
		switch o.kind {
		case ipcpAddress:
			want, named = s.network.Peer, true
		case ipcpDNS1:
			want = s.dns[0]
		case ipcpDNS2:
			want = s.dns[1]
		}
		value, ok := four(want)
		if !ok {
			v.reject(o)
		} else if a, ok := optionAddr(o); !ok || a.As4() != value {
			v.nak(o, appendOption(nil, o.kind, value[:]...))
		}
	}
	// A peer that names no address is asked once to take ours (RFC 1332,
	// section 3.3); if it will not, the driver's source check is what counts.
	if value, ok := four(s.network.Peer); ok && !named && !s.asked && v.rejects == nil {
		s.asked = true
		v.add(ipcpAddress, appendOption(nil, ipcpAddress, value[:]...))
	}
}

func optionAddr(o option) (netip.Addr, bool) {
	if len(o.data) != 4 {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(o.data)
}

// accept takes over what the peer said and we acknowledge.
func (y ipcp) accept(opts []option) {
	if !y.env.Config.Client {
		return
	}
	y.s.ipcp.network.Local = netip.Addr{}
	for _, o := range opts {
		if a, ok := optionAddr(o); ok && o.kind == ipcpAddress {
			y.s.ipcp.network.Local = a
		}
	}
}

// naked: a client takes what it is given. A server keeps its address. Who
// insists on what cannot be has the option left out, but for a client's address,
// without which it has no network.
func (y ipcp) naked(_ time.Time, opts []option) {
	s := &y.s.ipcp
	own := [3]*netip.Addr{&s.network.Peer, &s.dns[0], &s.dns[1]}
	for _, o := range opts {
		i := slices.Index([]byte{ipcpAddress, ipcpDNS1, ipcpDNS2}, o.kind)
		if i < 0 || i > 0 && !y.env.Config.Client {
			continue // not ours to ask for
		}
		a, ok := optionAddr(o)
		taken := y.env.Config.Client && ok && !a.IsUnspecified() && a != *own[i]
		if taken {
			*own[i] = a
		}
		if s.naked[i].spent(taken) && (i > 0 || !y.env.Config.Client) {
			s.no[i] = true
		}
	}
}

// rejected leaves out what the peer rejects. A client without an address has
// no network.
func (y ipcp) rejected(now time.Time, opts []option) {
	for _, o := range opts {
		switch o.kind {
		case ipcpAddress:
			y.s.ipcp.no[0] = true
			if y.env.Config.Client {
				y.s.detail = "IPCP: the peer rejects " + optionName(ProtocolIPCP, ipcpAddress)
				y.Close(now, ReasonNoNetwork)
			}
		case ipcpDNS1:
			y.s.ipcp.no[1] = true
		case ipcpDNS2:
			y.s.ipcp.no[2] = true
		}
	}
}

// opened is what the driver is told when IPCP opens.
func (y ipcp) opened() Event {
	s := &y.s.ipcp
	if y.env.Config.Client {
		s.network.DNS = nil
		for i, a := range s.dns {
			if _, ok := four(a); ok && !s.no[i+1] {
				s.network.DNS = append(s.network.DNS, a)
			}
		}
	}
	return NetworkUp{Network: s.network, MTU: min(y.mru(), y.s.lcp.peerMRU)}
}

func (y ipcp) closed() Event { return NetworkDown{} }

// carries tells whether a packet is from, or as client to, the client's address.
func (y ipcp) carries(ip []byte) bool {
	client, ok := four(y.s.ipcp.network.Peer)
	if !ok || len(ip) < 20 || ip[0]>>4 != 4 {
		return false
	}
	if y.env.Config.Client {
		return [4]byte(ip[16:20]) == client
	}
	return [4]byte(ip[12:16]) == client
}

// up is IPCP's This-Layer-Up: IP may flow.
func (y ipcp) up(now time.Time) {
	if _, ok := four(y.s.ipcp.network.Peer); !ok && y.env.Config.Client {
		y.s.detail = "IPCP: the peer gives no address"
		y.Close(now, ReasonNoNetwork) // the server acknowledged 0.0.0.0
		return
	}
	y.ncpUp(y)
}

func (y ipcp) down(now time.Time)                { y.ncpDown(now, y) }
func (y ipcp) finished(now time.Time, t trigger) { y.ncpFinished(now, y, t) }
