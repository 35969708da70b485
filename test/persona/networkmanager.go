package persona

import (
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// NetworkManagerOptions are the differences between desktops.
type NetworkManagerOptions struct {
	Libreswan bool // instead of strongSwan
	KL2TPD    bool // instead of xl2tpd
	Userspace bool // the kernel has no L2TP
	Ephemeral bool // another program has port 1701
	// Certificate: of the machine, used instead of a pre-shared key.
	Certificate bool
	NoIPv6      bool // an old pppd, which asks for IPv6 only if told to
}

// desktop are the transforms of phase 1 that the plugin configures for
// strongSwan.
var desktop = []suite{
	{ikeAES, 256, ikeSHA256, 14},
	{ikeAES, 256, ikeSHA256, 5},
	{ikeAES, 256, ikeSHA256, 2},
	{ikeAES, 256, ikeSHA1, 14},
	{ikeAES, 256, ikeSHA1, 5},
	{ikeAES, 256, ikeSHA1, 2},
	{ikeAES, 256, ikeSHA1, 20},
	{ikeAES, 128, ikeSHA1, 2},
	{ikeAES, 128, ikeSHA1, 19},
	{ike3DES, 0, ikeSHA1, 14},
	{ike3DES, 0, ikeSHA1, 2},
}

// NetworkManager is a Linux desktop with the plugin NetworkManager-l2tp.
func NetworkManager(o NetworkManagerOptions) Profile {
	p := Profile{
		Name: "NetworkManager",
		IKE:  charon(),
		ESP: ESPProfile{
			SA:    charonESP(3600, espSuite{espAES, 256, espSHA1}, espSuite{espAES, 128, espSHA1}, espSuite{esp3DES, 0, espSHA1}),
			Nonce: 32, Port: 1701, NATOA: true, Window: 32, KeepOld: 9 * time.Minute, Life: time.Hour, InnerChecksum: true,
		},
		L2TP: xl2tpd(xl2tpdOptions{host: "persona", window: 8, speed: 100000000}),
		PPP:  pppd(pppdOptions{mru: 1400, kernel: !o.Userspace, ipv6: !o.NoIPv6, start: 100 * time.Millisecond}),
		After: func(c *Client) {
			if !o.KL2TPD {
				c.hellos(time.Minute)
			}
		},
		Leave: leaveXL2TPD,
	}
	p.IKE.SA, p.IKE.Life = charonSA(10800, desktop...), 3*time.Hour
	if o.Libreswan {
		p.Name, p.IKE, p.ESP = "NetworkManager, libreswan", plutoIKE(), plutoESP()
	}
	if o.Certificate {
		p.certificate(o.Libreswan)
	}
	if o.KL2TPD {
		p.Name += ", kl2tpd"
		p.L2TP, p.Leave = kl2tpd("persona"), leaveKL2TPD
	}
	if o.Userspace {
		p.Name += ", no L2TP in the kernel"
	}
	if o.Ephemeral {
		p.Name += ", port 1701 in use"
		p.ESP.Port, p.ESP.AnyProtocol = 0, true
	}
	if o.NoIPv6 {
		p.Name += ", no IPv6"
	}
	return p
}

// certificate is how both daemons use a certificate. The plugin accepts any identity of
// the server that is in its certificate (rightid=%any).
func (p *Profile) certificate(libreswan bool) {
	if libreswan {
		p.sign(Signing{AnyName: true, RequestFirst: true}, fragmentKAME, false)
		return
	}
	p.sign(Signing{AnyName: true}, fragmentCharon, true)
}

// plutoIKE is phase 1 of libreswan as the plugin configures it. Proposals and
// transforms are counted from 0.
func plutoIKE() IKEProfile {
	p := wire.Proposal{Protocol: 1}
	for i, s := range []suite{
		{ikeAES, 256, ikeSHA256, 14},
		{ikeAES, 256, ikeSHA256, 5},
		{ikeAES, 256, ikeSHA1, 14},
		{ikeAES, 256, ikeSHA1, 5},
		{ikeAES, 256, ikeSHA1, 20},
		{ikeAES, 128, ikeSHA1, 19},
		{ike3DES, 0, ikeSHA1, 14},
	} {
		a := append(wire.TV(11, 1), duration(12, 28800)...)
		a = append(append(a, wire.TV(1, s.enc)...), wire.TV(2, s.hash)...)
		a = append(append(a, wire.TV(3, 1)...), wire.TV(4, s.group)...)
		if s.bits != 0 {
			a = append(a, wire.TV(14, s.bits)...)
		}
		p.Transforms = append(p.Transforms, wire.Transform{Number: byte(i), ID: 1, Attributes: a})
	}
	return IKEProfile{
		SA: wire.SABody(p),
		Vendors: [][]byte{
			vidFragments, vidDPD, vidRFC3947, vendor("7d9419a65310ca6f2c179d9215529d56"), vidDraft02n, vidDraft02,
		},
		Nonce: 32,
		Retry: []time.Duration{ // half a second, doubled, for a minute
			500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second,
		},
		DPD: true, RekeyOnNATT: true, Keepalive: 20 * time.Second, Life: 8 * time.Hour,
	}
}

// plutoESP is Quick Mode of libreswan, which uses perfect forward secrecy with the group
// of phase 1 unless it is configured otherwise.
func plutoESP() ESPProfile {
	const group = 14
	return ESPProfile{
		SA: func(mode uint16, spi uint32) []byte {
			p := wire.Proposal{Protocol: 3, SPI: wire.U32(spi)}
			for i, s := range []espSuite{{espAES, 256, espSHA1}, {espAES, 128, espSHA1}, {esp3DES, 0, espSHA1}} {
				a := append(wire.TV(3, group), wire.TV(4, mode)...)
				a = append(append(a, wire.TV(1, 1)...), duration(2, 28800)...)
				a = append(a, wire.TV(5, s.hash)...)
				if s.bits != 0 {
					a = append(a, wire.TV(6, s.bits)...)
				}
				p.Transforms = append(p.Transforms, wire.Transform{Number: byte(i), ID: s.id, Attributes: a})
			}
			return wire.SABody(p)
		},
		Nonce: 32, Port: 1701, NATOA: true, Group: group, Window: 32, KeepOld: time.Minute, Life: 8 * time.Hour, InnerChecksum: true,
	}
}

// kl2tpd is the control connection of go-l2tp: without a receive window, with
// an optional protocol version and a speed of 0.
func kl2tpd(host string) L2TPProfile {
	serial := new(atomic.Uint32) // shared by clients with the same profile
	return L2TPProfile{
		SCCRQ: func(tunnel uint16) []wire.AVP {
			return []wire.AVP{wire.O(2, 1, 0), wire.M(7, []byte(host)...), wire.M(3, wire.U32(3)...), wire.M(9, wire.U16(tunnel)...)}
		},
		ICRQ: func(session uint16) []wire.AVP {
			return []wire.AVP{wire.M(14, wire.U16(session)...), wire.M(15, wire.U32(serial.Add(1))...)}
		},
		ICCN:   []wire.AVP{wire.M(24, wire.U32(0)...), wire.M(19, wire.U32(3)...)},
		Tunnel: anyID, Session: anyID,
		Window: 4, Retry: seconds(1, 2, 4, 8), Ack: 100 * time.Millisecond,
	}
}

// leaveKL2TPD is how kl2tpd ends: a StopCCN, whose acknowledgement races with the end of
// IPsec.
func leaveKL2TPD(c *Client) {
	t := c.tun
	t.callUp, t.closed = false, true
	c.order(0, "StopCCN", wire.StopCCN, wire.M(9, wire.U16(t.local)...), wire.M(1, 0, 1, 0, 0))
	c.pause(50 * time.Millisecond)
	if c.Lossless && len(c.tun.sending) > 0 {
		c.refuse("its StopCCN was not acknowledged at once, and it has stopped listening")
	}
	c.silence()
	c.stopIPsec()
}
