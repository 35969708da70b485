package ppp

import (
	"net/netip"
	"slices"
	"time"
)

// IPCP options (RFC 1332, section 3; RFC 1877, section 1). Van Jacobson compression (2) is
// rejected like every unknown option.
const (
	ipcpAddress = 3
	ipcpDNS1    = 129
	ipcpNBNS1   = 130
	ipcpDNS2    = 131
	ipcpNBNS2   = 132
)

// ipcpState is what IPCP negotiates.
type ipcpState struct {
	ncpState
	network Network // as authenticator: what is granted; as client: what is learnt
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

// begin clears what an earlier negotiation agreed.
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
		if !s.no[i] && y.asks(ask.kind) {
			a, _ := four(ask.addr)
			b = appendOption(b, ask.kind, a[:]...)
		}
	}
	return b
}

// asks reports whether we ask for an option as client.
func (y ipcp) asks(kind byte) bool {
	c := y.env.Config
	if kind == ipcpAddress {
		return !c.Unnumbered
	}
	return !c.Router
}

// four returns the bytes of an IPv4 address, and whether the address may be given out:
// 0.0.0.0 may not, since it is a request for an address.
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

// judgeServer accepts the server's address and nothing else. A client that knows which
// address the server has suggests that; otherwise anything unusable is rejected.
func (y ipcp) judgeServer(v *verdict, opts []option) {
	want, known := four(y.env.Config.PeerAddress)
	for _, o := range opts {
		a, ok := optionAddr(o)
		switch {
		case o.kind != ipcpAddress || !ok:
			v.reject(o)
		case known && a.As4() != want:
			v.nak(o, appendOption(nil, ipcpAddress, want[:]...))
		case a.IsUnspecified():
			v.reject(o)
		}
	}
}

// judgeClient gives the peer the address and the name servers that were granted to it. An
// option is never answered with 0.0.0.0: an option for which we have no value is
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
		case ipcpNBNS1:
			want = nth(s.network.NBNS, 0)
		case ipcpNBNS2:
			want = nth(s.network.NBNS, 1)
		}
		value, ok := four(want)
		if !ok {
			v.reject(o)
		} else if a, ok := optionAddr(o); !ok || a.As4() != value {
			v.nak(o, appendOption(nil, o.kind, value[:]...))
		}
	}
	// A peer that names no address is asked once to take ours (RFC 1332, section 3.3). If
	// it does not, the driver's source check is what restricts it.
	if value, ok := four(s.network.Peer); ok && !named && !s.asked && !y.env.Config.Unnumbered && v.rejects == nil {
		s.asked = true
		v.add(ipcpAddress, appendOption(nil, ipcpAddress, value[:]...))
	}
}

// nth is the element of a list, or none.
func nth(list []netip.Addr, n int) (a netip.Addr) {
	if n < len(list) {
		a = list[n]
	}
	return a
}

func optionAddr(o option) (netip.Addr, bool) {
	if len(o.data) != 4 {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(o.data)
}

// accept applies the peer's options that we acknowledge.
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

// naked handles a Configure-Nak. A client takes the values that it is given; a server
// keeps its address. If the peer insists on a value that we cannot take, we leave the
// option out. The exception is a client's own address: without it the client has no
// network.
func (y ipcp) naked(now time.Time, opts []option) {
	s := &y.s.ipcp
	if y.deniedOwn(now, opts) {
		return
	}
	own := [3]*netip.Addr{&s.network.Peer, &s.dns[0], &s.dns[1]}
	for _, o := range opts {
		i := slices.Index([]byte{ipcpAddress, ipcpDNS1, ipcpDNS2}, o.kind)
		if i < 0 || i > 0 && !y.env.Config.Client || y.env.Config.Client && !y.asks(o.kind) {
			continue // not an option that we ask for
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

// deniedOwn ends the link, as a client that takes one address only, if the peer gives it
// another one.
func (y ipcp) deniedOwn(now time.Time, opts []option) bool {
	own := y.env.Config.Address
	if !y.env.Config.Client || y.env.Config.Unnumbered || !own.IsValid() {
		return false
	}
	for _, o := range opts {
		if a, ok := optionAddr(o); ok && o.kind == ipcpAddress && a != own {
			y.s.detail = "IPCP: the peer gives us the address " + a.String() + " in place of " + own.String()
			y.Close(now, ReasonNoNetwork)
			return true
		}
	}
	return false
}

// rejected leaves out the options that the peer rejects. A client whose address is
// rejected has no network, so its link ends.
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

// opened returns the event that tells the driver that IPCP is open.
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

// carries tells whether a packet comes from the client's address or, as client, goes to
// it.
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
	if _, ok := four(y.s.ipcp.network.Peer); !ok && y.env.Config.Client && !y.env.Config.Unnumbered {
		y.s.detail = "IPCP: the peer gives no address"
		y.Close(now, ReasonNoNetwork) // the server acknowledged 0.0.0.0
		return
	}
	y.ncpUp(y)
}

func (y ipcp) down(now time.Time)                { y.ncpDown(now, y) }
func (y ipcp) finished(now time.Time, t trigger) { y.ncpFinished(now, y, t) }
