package persona

import (
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// AndroidOptions are the differences between Android's releases, and behaviour that
// nobody has seen on a wire.
type AndroidOptions struct {
	Old     bool // 4.3 to 7.0: no SHA2-384 and SHA2-512
	Deletes bool // SAs are deleted on leaving
	MRU     uint16

	Certificate bool // instead of a pre-shared key
}

// Android is the built-in client of Android 11 and older.
func Android(o AndroidOptions) Profile {
	if o.MRU == 0 {
		o.MRU = 1400
	}
	var list [][]byte
	add := func(enc, bits uint16, hashes ...uint16) {
		for _, h := range hashes {
			if !o.Old || h != ikeSHA384 && h != ikeSHA512 {
				list = append(list, phase1Attributes(28800, enc, bits, 1, h, 2))
			}
		}
	}
	add(ikeAES, 256, ikeSHA384, ikeSHA256, ikeSHA512, ikeSHA1, ikeMD5)
	add(ikeAES, 128, ikeSHA512, ikeSHA384, ikeSHA256, ikeSHA1, ikeMD5)
	add(ike3DES, 0, ikeSHA256, ikeSHA1, ikeMD5)
	add(ikeDES, 0, ikeSHA256, ikeSHA1, ikeMD5)
	hashes := []uint16{espSHA512, espSHA384, espSHA1, espSHA256, espMD5}
	name := "Android 11"
	if o.Old {
		hashes, name = []uint16{espSHA256, espSHA1, espMD5}, "Android 6"
	}
	p := Profile{
		Name: name,
		IKE: IKEProfile{
			SA:      phase1SA(list...),
			Vendors: [][]byte{vidRFC3947, vidDraft02, vidDraft02n, vidDraft00, append(vidFragments[:16:16], 0x80, 0, 0, 0), vidDPD},
			Nonce:   16, IDProtocol: 17, IDPort: 500, InitialContact: ContactSeparate,
			Retry: seconds(3, 3, 3, 3, 3, 3, 3, 3, 3, 3), DPD: true, StrictPayloads: true, RekeyOnNATT: true, Keepalive: 20 * time.Second, Life: 8 * time.Hour,
		},
		ESP: ESPProfile{
			SA:    kameESP(28800, []espCipher{{12, 256}, {12, 128}, {3, 0}, {2, 0}}, hashes),
			Nonce: 16, AnyPort: true, Window: 32, Life: 8 * time.Hour, SHA256Is96: true, KeepOld: 30 * time.Second, InnerChecksum: true,
		},
		L2TP: L2TPProfile{
			SCCRQ: func(tunnel uint16) []wire.AVP {
				return []wire.AVP{
					wire.M(2, 1, 0), wire.M(7, []byte("anonymous")...), wire.M(3, wire.U32(3)...),
					wire.M(9, wire.U16(tunnel)...), wire.M(10, wire.U16(1)...),
				}
			},
			ICRQ: func(session uint16) []wire.AVP {
				return []wire.AVP{wire.M(14, wire.U16(session)...), wire.M(15, 0x12, 0x34, 0x56, 0x78)}
			},
			ICCN:   []wire.AVP{wire.M(24, wire.U32(100000000)...), wire.M(19, wire.U32(3)...)},
			Tunnel: anyID, Session: anyID,
			Window: 1, Retry: seconds(2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2), WaitsForZLB: true, Exact: true,
			Ack: 100 * time.Millisecond,
		},
		PPP: androidPPP(o),
		Leave: func(c *Client) {
			c.order(0, "StopCCN", wire.StopCCN, wire.M(1, 0, 6))
			c.tun.callUp, c.tun.closed = false, true
			c.silence()
			if o.Deletes {
				p := c.current()
				c.remove(p, c.children...)
				c.removePhase1(p)
			}
			c.children = nil
		},
	}
	if o.Certificate {
		// The server's certificate may have any name: the client's configuration has
		// verify_identifier off.
		p.sign(Signing{AnyName: true}, fragmentKAME, true)
	}
	return p
}

// anyID chooses an identifier that is not 0.
func anyID(c *Client) uint16 { return uint16(c.rand.IntN(65535) + 1) }

func androidPPP(o AndroidOptions) PPPProfile {
	zero := make([]byte, 4)
	return PPPProfile{
		LCP: []wire.Option{
			{Type: optMRU, Value: wire.U16(o.MRU)}, {Type: optACCM, Value: zero}, {Type: optMagic, Value: zero}, {Type: optPFC}, {Type: optACFC},
		},
		CCP: []wire.Option{ // Deflate, its older number, and BSD-Compress
			{Type: 26, Value: []byte{0x78, 0}}, {Type: 24, Value: []byte{0x78, 0}}, {Type: 21, Value: []byte{0x2f}},
		},
		IPCP: []wire.Option{
			{Type: optVJ, Value: []byte{0, 0x2d, 15, 1}}, {Type: optAddress, Value: zero}, {Type: optDNS1, Value: zero}, {Type: optDNS2, Value: zero},
		},
		NCPs: []uint16{wire.CCP, wire.IPCP}, FirstID: 1,
		Auth:  [][]byte{authMSCHAPv2, authCHAP, authPAP},
		Retry: 3 * time.Second, Tries: 10, MRU: int(o.MRU), NoCompression: true,
	}
}
