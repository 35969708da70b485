package ike

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// natHash is the body of a NAT-D payload: HASH(CKY-I | CKY-R | IP | Port) (RFC
// 3947, section 3.2).
func natHash(h Hash, c Cookies, a netip.AddrPort) []byte {
	return h.sum(c.Initiator[:], c.Responder[:], a.Addr().Unmap().AsSlice(), binary.BigEndian.AppendUint16(nil, a.Port()))
}

// natFound compares a peer's NAT-D payloads with what we see.
//
// The first is the hash of the destination; all others are of addresses that
// the source may have (RFC 3947, section 3.2).
func natFound(h Hash, c Cookies, path Path, natd [][]byte) (local, remote bool) {
	local = !bytes.Equal(natd[0], natHash(h, c, path.Local))
	seen := natHash(h, c, path.Remote)
	remote = true
	for _, d := range natd[1:] {
		if bytes.Equal(d, seen) {
			remote = false
		}
	}
	return local, remote
}

// judgeNAT records what message 3, or 4, says about NATs on the path. Without
// NAT-D payloads there is no NAT-T, even if the vendor IDs offered it.
func (s *SA) judgeNAT(path Path, natd [][]byte) {
	st := &s.st
	if st.Peer.NATT == NATTNone || len(natd) < 2 {
		st.Peer.NATT = NATTNone
		return
	}
	st.Peer.LocalNAT, st.Peer.BehindNA = natFound(st.Peer.Suite.Hash, st.Peer.Cookies, path, natd)
	st.Peer.Encap = st.Peer.LocalNAT || st.Peer.BehindNA || s.feigns()
}

// feigns reports whether we pretend that the client is behind NAT. A server that
// cannot be reached under its own address does so, too.
func (s *SA) feigns() bool {
	return s.env.Policy.NATT == NATTAlways || !s.st.Initiator && s.st.Peer.LocalNAT
}

// ownNATD writes our two NAT-D payloads: the destination's hash and our own.
//
// To have ESP in UDP in every case, only the hash of the client's address is
// falsified, whether we are responder or initiator. A falsified hash of the
// server's address would say that the server is behind NAT, and Windows refuses
// such servers.
//
// Deviation: RFC 3947 requires the hash of our address as we know it. A Windows
// client gets its own first NAT-D back, so it finds the server under the address
// that it dialled even if a NAT is in between.
func (s *SA) ownNATD(path Path, natd [][]byte) ([]isakmp.Payload, error) {
	st := &s.st
	if st.Peer.NATT == NATTNone {
		return nil, nil
	}
	h := st.Peer.Suite.Hash
	destination := natHash(h, st.Peer.Cookies, path.Remote)
	source := natHash(h, st.Peer.Cookies, path.Local)
	client := &destination
	if st.Initiator {
		client = &source
	} else if st.Peer.Kind == ClientWindows {
		source = natd[0]
	}
	if s.feigns() {
		spoilt, err := s.random(len(*client))
		if err != nil {
			return nil, err
		}
		*client = spoilt
	}
	draft := st.Peer.NATT.draft()
	return []isakmp.Payload{isakmp.NATD{Hash: destination, Draft: draft}, isakmp.NATD{Hash: source, Draft: draft}}, nil
}

// identity is the address by which we identify ourselves. It is the address that
// the client dialled, if the client's first NAT-D is the hash of an address that
// we know; else it is the local address.
func (s *SA) identity(path Path) netip.Addr {
	local := path.Local.Addr().Unmap()
	if len(s.st.Dialled) == 0 {
		return local
	}
	known := append([]netip.Addr{local}, s.env.Policy.Public...)
	if s.env.Addresses != nil {
		known = append(known, s.env.Addresses()...)
	}
	for _, port := range []uint16{s.st.DialledPort, 500, 4500} {
		for _, addr := range known {
			if addr.IsUnspecified() || !addr.IsValid() {
				continue
			}
			hash := natHash(s.st.Peer.Suite.Hash, s.st.Peer.Cookies, netip.AddrPortFrom(addr, port))
			if bytes.Equal(hash, s.st.Dialled) {
				return addr.Unmap()
			}
		}
	}
	return local
}
