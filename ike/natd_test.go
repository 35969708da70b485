package ike

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// windowsClient does as much of a Windows client as NAT-T needs: it computes NAT-D
// itself and draws the same conclusions.
type windowsClient struct {
	t        *testing.T
	embryo   Embryo
	own      netip.AddrPort // its private address
	dialled  netip.AddrPort
	received [][]byte // NAT-D payloads of message 4
}

func (w *windowsClient) hash(a netip.AddrPort) []byte {
	h := sha1.New()
	h.Write(w.embryo.Cookies.Initiator[:])
	h.Write(w.embryo.Cookies.Responder[:])
	h.Write(a.Addr().AsSlice())
	_ = binary.Write(h, binary.BigEndian, a.Port())
	return h.Sum(nil)
}

// connect runs Windows' first four messages against a server at path and
// returns the server's SA.
func (w *windowsClient) connect(env Env, path Path, mm1 []byte) *SA {
	w.t.Helper()
	embryo, _, err := Answer(env, path, mm1, epoch)
	if err != nil {
		w.t.Fatal(err)
	}
	w.embryo = embryo
	key := must(newDHKey(machinetest.Rand(9), embryo.Suite.Group))
	msg3 := isakmp.AppendMessage(nil, isakmp.Header{
		InitiatorCookie: embryo.Cookies.Initiator, ResponderCookie: embryo.Cookies.Responder,
		Version: isakmp.Version1, Exchange: ExchangeMain,
	}, isakmp.KE(key.Public), isakmp.Nonce(make([]byte, 48)),
		isakmp.NATD{Hash: w.hash(w.dialled)}, isakmp.NATD{Hash: w.hash(w.own)})
	sa := Respond(env, embryo, epoch)
	if err := sa.HandlePacket(epoch, path, msg3); err != nil {
		w.t.Fatal(err)
	}
	e, _ := sa.NextEvent()
	send, ok := e.(Send)
	if !ok {
		w.t.Fatalf("message 3 is answered with %T", e)
	}
	raws, _, err := isakmp.Chain(isakmp.PayloadType(send.Data[16]), send.Data[isakmp.HeaderLen:])
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range raws {
		switch r.Kind {
		case isakmp.PayloadNATD:
			w.received = append(w.received, bytes.Clone(r.Body))
		case isakmp.PayloadKE, isakmp.PayloadNonce:
		default:
			w.t.Errorf("message 4 has a payload %v, on which Apple gives up", r.Kind)
		}
	}
	if len(w.received) != 2 {
		w.t.Fatalf("%d NAT-D payloads", len(w.received))
	}
	return sa
}

// behindNAT is what the client concludes from the server's first NAT-D, which is
// the client's own address; serverBehindNAT is what it concludes from the others.
func (w *windowsClient) behindNAT() bool { return !bytes.Equal(w.received[0], w.hash(w.own)) }

func (w *windowsClient) serverBehindNAT() bool {
	return !bytes.Equal(w.received[1], w.hash(w.dialled))
}

func TestWhatWindowsConcludes(t *testing.T) {
	addr := netip.MustParseAddr
	tests := []struct {
		name                 string
		mode                 NATTMode
		clientNAT, serverNAT bool
		public               []netip.Addr
		behind, serverBehind bool // what Windows must conclude
		peerBehind, localNAT bool // what we conclude
		encap                bool
		identity             netip.Addr
	}{
		{"no NAT at all", NATTAlways, false, false, nil, true, false, false, false, true, addr("203.0.113.1")},
		{"the client behind NAT", NATTAlways, true, false, nil, true, false, true, false, true, addr("203.0.113.1")},
		{"the server behind NAT", NATTAlways, false, true, nil, true, false, false, true, true, addr("192.168.1.10")},
		{"both behind NAT", NATTAlways, true, true, nil, true, false, true, true, true, addr("192.168.1.10")},
		{
			"both behind NAT, and public is set", NATTAlways, true, true, []netip.Addr{addr("198.51.100.99"), addr("203.0.113.1")},
			true, false, true, true, true, addr("203.0.113.1"),
		},
		{"auto and no NAT", NATTAuto, false, false, nil, false, false, false, false, false, addr("203.0.113.1")},
		{"auto and the client behind NAT", NATTAuto, true, false, nil, true, false, true, false, true, addr("203.0.113.1")},
		{"auto and the server behind NAT", NATTAuto, false, true, nil, true, false, false, true, true, addr("192.168.1.10")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &windowsClient{
				t: t, own: netip.MustParseAddrPort("10.0.0.2:500"), dialled: netip.MustParseAddrPort("203.0.113.1:500"),
			}
			path := Path{Local: w.dialled, Remote: w.own}
			if tt.clientNAT {
				path.Remote = netip.MustParseAddrPort("198.51.100.7:1011")
			}
			if tt.serverNAT {
				path.Local = netip.MustParseAddrPort("192.168.1.10:500")
			}
			env := answerEnv()
			env.Policy.NATT, env.Policy.Public = tt.mode, tt.public
			sa := w.connect(env, path, windowsMM1(t))
			if w.behindNAT() != tt.behind || w.serverBehindNAT() != tt.serverBehind {
				t.Errorf("Windows believes itself behind NAT: %v, the server: %v", w.behindNAT(), w.serverBehindNAT())
			}
			if len(w.received[0]) != sha1.Size {
				t.Errorf("a NAT-D of %d bytes", len(w.received[0]))
			}
			p := sa.Peer()
			if p.BehindNA != tt.peerBehind || p.LocalNAT != tt.localNAT || p.Encap != tt.encap {
				t.Errorf("the server believes: %+v", p)
			}
			if id := sa.identity(path); id != tt.identity {
				t.Errorf("the server would call itself %v", id)
			}
		})
	}
}

// Only Windows gets its own hash back; other clients get the hash of our actual
// address.
func TestOthersAreToldTheTruthAboutTheServer(t *testing.T) {
	env := answerEnv()
	w := &windowsClient{
		t: t, own: netip.MustParseAddrPort("10.0.0.2:500"), dialled: netip.MustParseAddrPort("203.0.113.1:500"),
	}
	path := Path{Local: netip.MustParseAddrPort("192.168.1.10:500"), Remote: w.own}
	mm1 := firstMessage([]isakmp.Transform{transform(1, 1, 7, 14, 256, 2, 2, 4, 14, 3, 1)},
		vidRFC3947, vidApple, vidNATTDraft03, vidNATTDraft02, vidDPD)
	w.connect(env, path, mm1)
	if !w.behindNAT() {
		t.Error("the client is not told that it is behind NAT")
	}
	if !bytes.Equal(w.received[1], w.hash(path.Local)) {
		t.Error("our own hash is spoiled")
	}
}

// Our identity may also be an address that other clients dialled.
func TestIdentityAmongAddressesThatOthersDialled(t *testing.T) {
	w := &windowsClient{
		t: t, own: netip.MustParseAddrPort("10.0.0.2:500"), dialled: netip.MustParseAddrPort("203.0.113.1:500"),
	}
	env := answerEnv()
	env.Addresses = func() []netip.Addr {
		return []netip.Addr{{}, netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("203.0.113.1")}
	}
	path := Path{Local: netip.MustParseAddrPort("192.168.1.10:500"), Remote: w.own}
	if id := w.connect(env, path, windowsMM1(t)).identity(path); id != w.dialled.Addr() {
		t.Errorf("the server would call itself %v", id)
	}
}

// Vendor IDs alone do not enable NAT-T: without NAT-D payloads there is no NAT-T.
func TestNATTNeedsNATD(t *testing.T) {
	p := newPair(t)
	p.tamper = func(d datagram) []datagram {
		if !d.fromClient || d.data[19] != 0 || d.data[16] != byte(isakmp.PayloadKE) {
			return []datagram{d}
		}
		raws, _, err := isakmp.Chain(isakmp.PayloadKE, d.data[isakmp.HeaderLen:])
		if err != nil {
			t.Fatal(err)
		}
		h, _, err := isakmp.ParseHeader(d.data)
		if err != nil {
			t.Fatal(err)
		}
		d.data = isakmp.AppendMessage(nil, h, raws[0], raws[1])
		return []datagram{d}
	}
	p.establish()
	if peer := p.server.sa.Peer(); peer.NATT != NATTNone || peer.Encap {
		t.Errorf("peer %+v", peer)
	}
	c, s := p.quick(p.client, ChildRequest{})
	if sameChild(t, c, s); s.Encap {
		t.Error("ESP goes in UDP though there is no NAT-T")
	}
}

// In auto mode and without NAT both ends use ESP without UDP.
func TestAutoWithoutNAT(t *testing.T) {
	p := newPair(t).noNAT()
	p.client.env.Policy.NATT, p.server.env.Policy.NATT = NATTAuto, NATTAuto
	p.establish()
	c, s := p.quick(p.client, ChildRequest{})
	if sameChild(t, c, s); s.Encap || p.server.sa.st.Path.Local.Port() != 500 {
		t.Errorf("child %+v over %v", s, p.server.sa.st.Path)
	}
}
