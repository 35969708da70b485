package dhcp

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/packet"
)

// DHCPv6 message types (RFC 8415, section 7.3).
const (
	solicit     = 1
	advertise   = 2
	request     = 3
	confirm     = 4
	renew       = 5
	rebind      = 6
	answer      = 7 // Reply
	release     = 8
	decline     = 9
	information = 11
)

// DHCPv6 options (RFC 8415, section 21; RFC 3646).
const (
	optClientID    = 1
	optServerID    = 2
	optIANA        = 3
	optIATA        = 4
	optIAAddress   = 5
	optStatus      = 13
	optRapidCommit = 14
	optDNS         = 23
	optDomains     = 24
	optIAPD        = 25
	optIAPrefix    = 26
)

// DHCPv6 status codes (RFC 8415, section 21.13).
const (
	statusSuccess       = 0
	statusNoAddrsAvail  = 2
	statusNoBinding     = 3
	statusNotOnLink     = 4
	statusNoPrefixAvail = 6
)

const (
	serverPort6, clientPort6 = 547, 546

	// Preferred6 and Valid6 are lifetimes of addresses and prefixes: a session
	// that ends takes them with it, whatever is left.
	Preferred6 = 2 * time.Hour
	Valid6     = 4 * time.Hour

	maxDUID = 130 // RFC 8415, section 11.1
	maxIAs  = 8   // of a message that are looked at
)

// Settings6 are what a client of DHCPv6 gets. There is one client on the link, and what
// it gets is fixed. So there is no state.
type Settings6 struct {
	DUID    []byte       // ours
	Server  netip.Addr   // our link-local address
	Address netip.Addr   // for IA_NA; the zero Addr: none
	Prefix  netip.Prefix // for IA_PD; the zero Prefix: none
	DNS     []netip.Addr // IPv6 ones are told
	Domain  string       // "": none
}

// DUID makes a server's identifier of a text that stays the same over restarts:
// a DUID-UUID (RFC 6355) of its hash.
func DUID(text string) []byte {
	sum := sha256.Sum256([]byte("adit " + text))
	return append([]byte{0, 4}, sum[:16]...)
}

// message6 is what matters of a client's message.
type message6 struct {
	kind           byte
	transaction    [3]byte
	client, server []byte
	rapid          bool
	ias            []ia
}

// ia is one identity association: IA_NA, IA_TA or IA_PD.
type ia struct {
	kind uint16
	id   [4]byte
	has  []netip.Prefix // that the client names
}

// Answer6 answers the DHCPv6 message in the IP packet b (RFC 8415, section
// 18.3). It fails with ErrIgnored if the message gets no answer.
func Answer6(b []byte, s Settings6) ([]byte, error) {
	b, h, err := payload(b, serverPort6)
	switch {
	case err != nil:
		return nil, err
	case h.Is4():
		return nil, fmt.Errorf("%w: not over IPv6", ErrIgnored)
	case !h.Src.IsLinkLocalUnicast():
		return nil, fmt.Errorf("%w: from %v, which is not link-local", ErrIgnored, h.Src)
	}
	m, err := parse6(b)
	if err != nil {
		return nil, err
	}
	if err := m.valid(s.DUID); err != nil {
		return nil, err
	}
	reply := m.answer(&s)
	if reply == nil {
		return nil, fmt.Errorf("%w: nothing to say to it", ErrIgnored)
	}
	return datagram(serverPort6, clientPort6, s.Server, h.Src, reply), nil
}

// each calls f for every option in b.
func each(b []byte, f func(code uint16, data []byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return fmt.Errorf("%w: option header", ErrMalformed)
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b)-4 {
			return fmt.Errorf("%w: option of %d bytes in %d", ErrMalformed, n, len(b)-4)
		}
		if err := f(binary.BigEndian.Uint16(b), b[4:4+n]); err != nil {
			return err
		}
		b = b[4+n:]
	}
	return nil
}

func parse6(b []byte) (*message6, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("%w: %d bytes of DHCPv6", ErrMalformed, len(b))
	}
	m := &message6{kind: b[0], transaction: [3]byte(b[1:4])}
	if m.kind < solicit || m.kind > information || m.kind == advertise || m.kind == answer || m.kind == 10 {
		return nil, fmt.Errorf("%w: DHCPv6 message %d", ErrIgnored, m.kind)
	}
	return m, each(b[4:], func(code uint16, data []byte) error {
		switch code {
		case optClientID, optServerID:
			if len(data) < 3 || len(data) > maxDUID {
				return fmt.Errorf("%w: DUID of %d bytes", ErrMalformed, len(data))
			}
			if code == optClientID {
				m.client = data
			} else {
				m.server = data
			}
		case optRapidCommit:
			m.rapid = true
		case optIANA, optIATA, optIAPD:
			return m.addIA(code, data)
		}
		return nil
	})
}

func (m *message6) addIA(kind uint16, data []byte) error {
	head := 12 // IAID, T1, T2
	if kind == optIATA {
		head = 4
	}
	if len(data) < head {
		return fmt.Errorf("%w: IA of %d bytes", ErrMalformed, len(data))
	}
	if len(m.ias) == maxIAs {
		return nil
	}
	a := ia{kind: kind, id: [4]byte(data[:4])}
	err := each(data[head:], func(code uint16, data []byte) error {
		switch {
		case code == optIAAddress && len(data) >= 24 && kind != optIAPD:
			a.has = append(a.has, netip.PrefixFrom(netip.AddrFrom16([16]byte(data)), 128))
		case code == optIAPrefix && len(data) >= 25 && kind == optIAPD:
			if data[8] > 128 {
				return fmt.Errorf("%w: prefix length %d", ErrMalformed, data[8])
			}
			a.has = append(a.has, netip.PrefixFrom(netip.AddrFrom16([16]byte(data[9:])), int(data[8])).Masked())
		}
		return nil
	})
	m.ias = append(m.ias, a)
	return err
}

// valid applies RFC 8415, section 16: which messages must name whom.
func (m *message6) valid(own []byte) error {
	switch m.kind {
	case solicit, confirm, rebind:
		if m.server != nil || m.client == nil {
			return fmt.Errorf("%w: names a server, or no client", ErrMalformed)
		}
	case request, renew, release, decline:
		if m.client == nil {
			return fmt.Errorf("%w: names no client", ErrMalformed)
		}
		if !bytes.Equal(m.server, own) {
			return fmt.Errorf("%w: for another server", ErrIgnored)
		}
	case information:
		if m.server != nil && !bytes.Equal(m.server, own) {
			return fmt.Errorf("%w: for another server", ErrIgnored)
		}
		if len(m.ias) > 0 {
			return fmt.Errorf("%w: asks for information and addresses", ErrMalformed)
		}
	}
	return nil
}

// answer builds the reply, nil if there is none.
func (m *message6) answer(s *Settings6) []byte {
	kind := byte(answer)
	if m.kind == solicit && !m.rapid {
		kind = advertise
	}
	b := append([]byte{kind}, m.transaction[:]...)
	if m.client != nil {
		b = option6(b, optClientID, m.client)
	}
	b = option6(b, optServerID, s.DUID)
	switch m.kind {
	case confirm:
		status, any := m.onLink(s)
		if !any {
			return nil // RFC 8415, section 18.3.3: no addresses, no answer
		}
		return option6(b, optStatus, statusOf(status, ""))
	case release, decline:
		// The address stays the session's: there is nobody else to have it.
		return option6(b, optStatus, statusOf(statusSuccess, ""))
	case solicit:
		if m.rapid {
			b = option6(b, optRapidCommit, nil)
		}
	}
	for i := range m.ias {
		b = m.ias[i].answer(b, m.kind, s)
	}
	return s.appendInformation(b)
}

// onLink tells whether the addresses of a Confirm are still right.
func (m *message6) onLink(s *Settings6) (status uint16, any bool) {
	for _, a := range m.ias {
		for _, p := range a.has {
			any = true
			if a.kind != optIANA || p.Addr() != s.Address {
				status = statusNotOnLink
			}
		}
	}
	return status, any
}

// answer appends the answer to one identity association.
func (a *ia) answer(b []byte, kind byte, s *Settings6) []byte {
	var own netip.Prefix
	missing := uint16(statusNoAddrsAvail)
	switch {
	case a.kind == optIANA && s.Address.IsValid():
		own = netip.PrefixFrom(s.Address, 128)
	case a.kind == optIAPD:
		own, missing = s.Prefix, statusNoPrefixAvail
	}
	if kind == renew || kind == rebind {
		missing = statusNoBinding
	}
	body := append([]byte(nil), a.id[:]...)
	if a.kind != optIATA {
		var t1, t2 time.Duration
		if own.IsValid() {
			t1, t2 = Preferred6/2, Preferred6*4/5 // RFC 8415, section 21.4
		}
		body = appendSeconds(appendSeconds(body, t1), t2)
	}
	if !own.IsValid() {
		return option6(b, a.kind, option6(body, optStatus, statusOf(missing, "")))
	}
	body = a.appendOwn(body, own, Preferred6, Valid6)
	for _, p := range a.has {
		// RFC 8415, section 18.3.4: addresses that the client should not have any more are
		// returned with lifetimes of 0.
		if p != own && (kind == renew || kind == rebind) {
			body = a.appendOwn(body, p, 0, 0)
		}
	}
	return option6(b, a.kind, body)
}

func (a *ia) appendOwn(b []byte, p netip.Prefix, preferred, valid time.Duration) []byte {
	addr := p.Addr().As16()
	if a.kind == optIAPD {
		data := appendSeconds(appendSeconds(nil, preferred), valid)
		return option6(b, optIAPrefix, append(append(data, byte(p.Bits())), addr[:]...))
	}
	return option6(b, optIAAddress, appendSeconds(appendSeconds(addr[:], preferred), valid))
}

// appendInformation appends what every client is told.
func (s *Settings6) appendInformation(b []byte) []byte {
	var dns []byte
	for _, a := range s.DNS {
		if a.Is6() {
			dns = append(dns, a.AsSlice()...)
		}
	}
	if dns != nil {
		b = option6(b, optDNS, dns)
	}
	if name := packet.Labels(s.Domain); name != nil {
		b = option6(b, optDomains, name)
	}
	return b
}

func option6(b []byte, code uint16, data []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

func statusOf(code uint16, text string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, code), text...)
}

func appendSeconds(b []byte, d time.Duration) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(d/time.Second))
}
