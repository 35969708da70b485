package persona

import (
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// AppleOptions are the differences between Apple's devices, and behaviour that nobody has
// seen on a wire.
type AppleOptions struct {
	OldESP bool // no HMAC-SHA2-256 in Quick Mode, as before iOS 14 and macOS 11
	VJ     bool // header compression is asked for
	Split  bool // "send all traffic" is off: ACSCP and DHCPINFORM
	Ack    time.Duration
	Host   string

	NoChecksum bool // the inner UDP checksum is zero

	Certificate bool // instead of a pre-shared key
}

// phase1Attributes encodes a phase 1 transform in the order of the KAME project's daemon,
// from which Apple's and Android's are derived.
func phase1Attributes(life uint16, enc, bits, auth, hash, group uint16) []byte {
	a := append(wire.TV(11, 1), wire.TV(12, life)...)
	a = append(a, wire.TV(1, enc)...)
	if bits != 0 {
		a = append(a, wire.TV(14, bits)...)
	}
	a = append(append(a, wire.TV(3, auth)...), wire.TV(2, hash)...)
	return append(a, wire.TV(4, group)...)
}

// Numbers of RFC 2409 appendix A and its registry.
const (
	ike3DES = 5
	ikeAES  = 7
	ikeDES  = 1

	ikeMD5    = 1
	ikeSHA1   = 2
	ikeSHA256 = 4
	ikeSHA384 = 5
	ikeSHA512 = 6
)

// phase1SA makes one proposal of transforms.
func phase1SA(list ...[]byte) []byte {
	p := wire.Proposal{Number: 1, Protocol: 1}
	for i, a := range list {
		p.Transforms = append(p.Transforms, wire.Transform{Number: byte(i + 1), ID: 1, Attributes: a})
	}
	return wire.SABody(p)
}

// appleSA is the fourteen transforms of Main Mode, with this authentication method.
func appleSA(auth uint16) []byte {
	var list [][]byte
	add := func(enc, bits, group uint16, hashes ...uint16) {
		for _, h := range hashes {
			list = append(list, phase1Attributes(3600, enc, bits, auth, h, group))
		}
	}
	add(ikeAES, 256, 14, ikeSHA256, ikeSHA1, ikeMD5, ikeSHA512)
	add(ikeAES, 256, 5, ikeSHA256, ikeSHA1, ikeMD5)
	add(ikeAES, 256, 2, ikeSHA256, ikeSHA1, ikeMD5)
	add(ikeAES, 128, 2, ikeSHA1, ikeMD5)
	add(ike3DES, 0, 2, ikeSHA1, ikeMD5)
	return phase1SA(list...)
}

// kameESP makes one proposal of ciphers times hashes, as the KAME project's
// daemon does.
func kameESP(life uint16, ciphers []espCipher, hashes []uint16) func(mode uint16, spi uint32) []byte {
	return func(mode uint16, spi uint32) []byte {
		p := wire.Proposal{Number: 1, Protocol: 3, SPI: wire.U32(spi)}
		for _, x := range ciphers {
			for _, h := range hashes {
				a := append(append(wire.TV(1, 1), wire.TV(2, life)...), wire.TV(4, mode)...)
				if x.bits != 0 {
					a = append(a, wire.TV(6, x.bits)...)
				}
				a = append(a, wire.TV(5, h)...)
				p.Transforms = append(p.Transforms, wire.Transform{Number: byte(len(p.Transforms) + 1), ID: x.id, Attributes: a})
			}
		}
		return wire.SABody(p)
	}
}

// espCipher is a transform of RFC 2407 section 4.4.4 with its key length.
type espCipher struct {
	id   byte
	bits uint16
}

// Authentication algorithms of RFC 2407 section 4.5 and its registry.
const (
	espMD5    = 1
	espSHA1   = 2
	espSHA256 = 5
	espSHA384 = 6
	espSHA512 = 7
)

// Apple is the built-in client of macOS and iOS.
func Apple(o AppleOptions) Profile {
	if o.Host == "" {
		o.Host = "persona.local"
	}
	hashes := []uint16{espSHA256, espSHA1, espMD5}
	if o.OldESP {
		hashes = hashes[1:]
	}
	p := Profile{
		Name: "Apple",
		IKE: IKEProfile{
			SA: appleSA(1),
			Vendors: [][]byte{
				vidRFC3947, vidApple,
				vendor("8f8d83826d246b6fc7a8a6a428c11de8"), vendor("439b59f8ba676c4c7737ae22eab8f582"), vendor("4d1e0e136deafa34c4f3ea9f02ec7285"),
				vendor("80d0bb3def54565ee84645d4c85ce3ee"), vendor("9909b64eed937c6573de52ace952fa6b"), vendor("7d9419a65310ca6f2c179d9215529d56"),
				vidDraft02, vidDraft02n, append(vidFragments[:16:16], 0x80, 0, 0, 0), vidDPD,
			},
			Nonce: 16, IDProtocol: 17, IDPort: 500, InitialContact: ContactInMain5, Retry: seconds(3, 3, 4),
			DPD: true, StrictPayloads: true, RekeyOnNATT: true, Keepalive: 20 * time.Second, Life: time.Hour,
		},
		ESP: ESPProfile{
			SA:    kameESP(3600, []espCipher{{12, 256}, {12, 128}, {3, 0}}, hashes),
			Nonce: 16, NATOA: true, Window: 32, Life: time.Hour, KeepOld: 30 * time.Second, InnerChecksum: !o.NoChecksum,
		},
		L2TP: L2TPProfile{
			SCCRQ: func(tunnel uint16) []wire.AVP {
				return []wire.AVP{
					wire.M(2, 1, 0), wire.M(3, wire.U32(3)...), wire.M(7, []byte(o.Host+"\x00")...),
					wire.M(9, wire.U16(tunnel)...), wire.M(10, wire.U16(4)...),
				}
			},
			ICRQ: func(session uint16) []wire.AVP {
				return []wire.AVP{wire.M(14, wire.U16(session)...), wire.M(15, wire.U32(1)...)}
			},
			ICCN:   []wire.AVP{wire.M(24, wire.U32(1000000)...), wire.M(19, wire.U32(3)...)},
			Tunnel: func(*Client) uint16 { return 1 }, Session: func(c *Client) uint16 { return uint16(c.rand.IntN(65535) + 1) },
			Window: 4, Retry: seconds(1, 2, 4, 4, 4, 4, 4, 4, 4), Length: true, Ack: o.Ack,
		},
		PPP:   applePPP(o),
		Leave: leaveApple,
	}
	if o.Certificate {
		p.sign(Signing{CommonName: true}, fragmentKAME, true)
	}
	if o.Split {
		p.After = func(c *Client) { c.inform1(appleInform(c), 3*time.Second, 5) }
	}
	return p
}

func applePPP(o AppleOptions) PPPProfile {
	zero := make([]byte, 4)
	p := PPPProfile{
		LCP:  []wire.Option{{Type: optACCM, Value: zero}, {Type: optMagic, Value: zero}, {Type: optPFC}, {Type: optACFC}},
		IPCP: []wire.Option{{Type: optAddress, Value: zero}, {Type: optDNS1, Value: zero}, {Type: optDNS2, Value: zero}},
		IID: func(c *Client) []byte { // EUI-64 of a MAC address
			b := c.random(8)
			b[0], b[3], b[4] = b[0]&^1|2, 0xff, 0xfe
			return b
		},
		NCPs: []uint16{wire.IPCP, wire.IPV6CP}, FirstID: 1,
		Auth:  [][]byte{authMSCHAPv2, authCHAP, authPAP},
		Retry: 3 * time.Second, Tries: 10, MRU: 1500, NoDNSInReq: true,
	}
	if o.VJ {
		p.IPCP = append([]wire.Option{{Type: optVJ, Value: []byte{0, 0x2d, 15, 1}}}, p.IPCP...)
	}
	if o.Split {
		one := wire.U32(1)
		p.ACSCP = []wire.Option{{Type: 1, Value: one}, {Type: 2, Value: one}} // routes and domains, version 1
		p.NCPs = append(p.NCPs, wire.ACSCP)
	}
	return p
}

// appleInform is the DHCPINFORM of a split tunnel.
func appleInform(c *Client) *inform {
	return &inform{DHCP: &wire.DHCP{
		Op: 1, HType: 8, HLen: 6, XID: 1, Client: c.link.addr,
		Options: []wire.Option{
			{Type: 53, Value: []byte{8}}, {Type: 61, Value: []byte{8, 0, 0, 0, 1, 0, 0}}, {Type: 55, Value: []byte{6, 44, 43, 1, 249, 15}},
		},
	}, ttl: 64}
}

// leaveApple says goodbye on every layer and waits for PPP alone. The Result Code is
// malformed: it has four bytes too many and is little-endian.
func leaveApple(c *Client) {
	c.hangUp([]byte("User request"), seconds(3, 3)...)
	t := c.tun
	t.callUp, t.closed = false, true
	stale := []byte{0, 0, 0, 0, 0, 0}
	c.order(t.distant, "CDN", wire.CDN, wire.M(1, append([]byte{3, 0}, stale...)...), wire.M(14, wire.U16(t.session)...))
	c.order(0, "StopCCN", wire.StopCCN, wire.M(9, wire.U16(t.local)...), wire.M(1, append([]byte{1, 0}, stale...)...))
	c.silence()
	p := c.current()
	c.remove(p, c.children...)
	c.removePhase1(p)
	c.children = nil
}
