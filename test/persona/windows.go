package persona

import (
	"encoding/hex"
	"strings"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// unhex decodes hexadecimal digits between any spaces.
func unhex(s string) []byte { return vendor(strings.Join(strings.Fields(s), "")) }

// windowsSA is the SA payload of message 1 of every Windows since Vista, as seen on the
// wire. Durations are long attributes, although they would fit short ones.
var windowsSA = unhex(`
	00000001 00000001
	000000c8 01010005
	03000028 01010000 80010007 800e0100 80020002 80040014 80030001 800b0001 000c0004 00007080
	03000028 02010000 80010007 800e0080 80020002 80040013 80030001 800b0001 000c0004 00007080
	03000028 03010000 80010007 800e0100 80020002 8004000e 80030001 800b0001 000c0004 00007080
	03000024 04010000 80010005 80020002 8004000e 80030001 800b0001 000c0004 00007080
	00000024 05010000 80010005 80020002 80040002 80030001 800b0001 000c0004 00007080`)

// windowsVendors are the vendor IDs of Windows 7; release is the version in the second
// one.
func windowsVendors(release byte) [][]byte {
	return [][]byte{
		vendor("1e2b516905991c7d7c96fcbfb587e461000000" + hex.EncodeToString([]byte{release})),
		vidRFC3947, vidDraft02n, vidFragments,
		vendor("fb1de3cdf341b7ea16b7e5be0855f120"), // MS-Negotiation Discovery Capable
		vendor("26244d38eddb61b3172a36e3d0cfb819"), // Vid-Initial-Contact
		vendor("e3a5966a76379fe707228231e5ce8652"), // IKE CGA version 1
	}
}

// WindowsOptions are the differences between Windows machines, and behaviour that nobody
// has seen on a wire.
type WindowsOptions struct {
	Computer string // default DESKTOP-PERSONA
	Ciphers  []WindowsCipher
	Retry    []time.Duration // of IKE messages
	Ack      time.Duration   // how long L2TP acknowledgements wait
	ICRQ     func(session uint16) []wire.AVP
	ICCN     []wire.AVP
	Length   bool // data messages have a length
	Inform   bool // DHCPINFORM is sent

	// Certificate: the machine's certificate is used. It may come in a PKCS #7 envelope,
	// and the request for the server's certificate in message 3 or 5.
	Certificate, PKCS7, RequestIn3 bool

	Kilobytes int // limit of ESP keys; 0: 250,000, the default of Windows
}

// WindowsCipher is one cipher of Quick Mode.
type WindowsCipher uint8

// The ciphers, in the numbers of RFC 2407 section 4.4.4.
const (
	WindowsNull   WindowsCipher = 11
	WindowsDES    WindowsCipher = 2
	Windows3DES   WindowsCipher = 3
	WindowsAES128 WindowsCipher = 128
	WindowsAES256 WindowsCipher = 255
)

// windowsESP makes one proposal for each cipher, all with HMAC-SHA1 and 3600 seconds.
func windowsESP(ciphers []WindowsCipher, kilobytes int) func(mode uint16, spi uint32) []byte {
	return func(mode uint16, spi uint32) []byte {
		var list []wire.Proposal
		for i, x := range ciphers {
			a, id := wire.TV(4, mode), byte(x)
			if bits := map[WindowsCipher]uint16{WindowsAES256: 256, WindowsAES128: 128}[x]; bits != 0 {
				a, id = append(a, wire.TV(6, bits)...), 12
			}
			a = append(a, wire.TV(5, 2)...)
			a = append(append(a, wire.TV(1, 1)...), wire.TLV4(2, 3600)...)
			a = append(append(a, wire.TV(1, 2)...), wire.TLV4(2, uint32(kilobytes))...)
			list = append(list, wire.Proposal{
				Number: byte(i + 1), Protocol: 3, SPI: wire.U32(spi), Transforms: []wire.Transform{{Number: 1, ID: id, Attributes: a}},
			})
		}
		return wire.SABody(list...)
	}
}

// windows is what all releases have in common.
func windows(name string, firmware uint16, o WindowsOptions) Profile {
	if o.Computer == "" {
		o.Computer = "DESKTOP-PERSONA"
	}
	if o.Kilobytes == 0 {
		o.Kilobytes = 250000
	}
	if o.Retry == nil {
		o.Retry = seconds(1, 2, 4, 8, 16, 32)
	}
	if o.ICRQ == nil {
		o.ICRQ = func(session uint16) []wire.AVP {
			return []wire.AVP{wire.M(14, wire.U16(session)...), wire.M(15, wire.U32(0)...), wire.M(18, wire.U32(2)...)}
		}
	}
	if o.ICCN == nil {
		o.ICCN = []wire.AVP{wire.M(24, wire.U32(100000000)...), wire.M(19, wire.U32(1)...), wire.O(29, wire.U16(4)...)}
	}
	p := Profile{
		Name: name,
		IKE: IKEProfile{
			SA: windowsSA, Nonce: 48, Retry: o.Retry, SequentialIDs: true, RefusesNATedServer: true, RekeyOnNATT: true,
			Keepalive: 20 * time.Second, Life: 8 * time.Hour,
		},
		ESP: ESPProfile{
			SA: windowsESP(o.Ciphers, o.Kilobytes), Life: time.Hour, Kilobytes: o.Kilobytes, Nonce: 48, Port: 1701, NATOA: true, Window: 64, DeleteFirst: true, InnerChecksum: true,
		},
		L2TP: L2TPProfile{
			SCCRQ: func(tunnel uint16) []wire.AVP {
				return []wire.AVP{
					wire.M(2, 1, 0), wire.M(3, wire.U32(1)...), wire.M(4, wire.U32(0)...), wire.O(6, wire.U16(firmware)...),
					wire.M(7, []byte(o.Computer)...), wire.O(8, []byte("Microsoft")...),
					wire.M(9, wire.U16(tunnel)...), wire.M(10, wire.U16(8)...),
				}
			},
			ICRQ: o.ICRQ, ICCN: o.ICCN,
			Tunnel: func(*Client) uint16 { return 1 }, Session: func(*Client) uint16 { return 1 },
			Window: 8, Retry: seconds(1, 2, 4, 8, 8, 8), Length: o.Length, Ack: o.Ack,
		},
		PPP:   windowsPPP(o),
		Leave: leaveWindows,
	}
	if o.Certificate {
		p.sign(Signing{Usage: true, PKCS7: o.PKCS7, RequestIn3: o.RequestIn3}, fragmentWindows, false)
	}
	if o.Inform {
		p.After = func(c *Client) { c.inform1(windowsInform(c), 4*time.Second, 2) }
	}
	return p
}

func windowsPPP(o WindowsOptions) PPPProfile {
	zero := make([]byte, 4)
	return PPPProfile{
		LCP: []wire.Option{
			{Type: optMRU, Value: wire.U16(1400)}, {Type: optMagic, Value: zero}, {Type: optPFC}, {Type: optACFC},
			{Type: 13, Value: []byte{6}}, // callback by CBCP
		},
		IPCP: []wire.Option{
			{Type: optAddress, Value: zero}, {Type: optDNS1, Value: zero}, {Type: optNBNS1, Value: zero},
			{Type: optDNS2, Value: zero}, {Type: optNBNS2, Value: zero},
		},
		IID:     func(c *Client) []byte { return c.random(8) },
		NCPs:    []uint16{wire.IPV6CP, wire.IPCP},
		FirstID: 0, SharedIDs: true,
		Auth:  [][]byte{authMSCHAPv2},
		Retry: 3 * time.Second, Tries: 10, MRU: 1400, NeverNakZero: true,
		Opened: func(c *Client) {
			for _, text := range [][]byte{[]byte("MSRASV5.20"), []byte("MSRAS-0-" + o.Computer), c.random(16)} {
				body := append(append([]byte(nil), c.link.magic...), text...)
				c.sendCP(wire.LCP, wire.CP{Code: wire.Identify, ID: c.nextID(wire.LCP), Body: body})
			}
		},
	}
}

// leaveWindows says goodbye in the order that Windows uses.
func leaveWindows(c *Client) {
	c.hangUp(append(append([]byte(nil), c.link.magic...), 0x00, 0x3c, 0xcd, 0x74, 0, 0, 0, 0), seconds(2, 2, 2)...)
	t := c.tun
	t.callUp = false
	c.order(t.distant, "CDN", wire.CDN, wire.M(1, 0, 3, 0, 0), wire.M(14, wire.U16(t.session)...))
	c.order(0, "StopCCN", wire.StopCCN, wire.M(9, wire.U16(t.local)...), wire.M(1, 0, 6, 0, 0))
	c.drained(10 * time.Second)
	t.closed = true
	c.pause(4*time.Second - 100*time.Millisecond)
	p := c.current()
	c.remove(p, c.children...)
	c.removePhase1(p)
}

// Windows10 is the built-in client of Windows 8.1, 10 and 11.
func Windows10(o WindowsOptions) Profile {
	if o.Ciphers == nil {
		o.Ciphers = []WindowsCipher{WindowsAES256, WindowsAES128, Windows3DES, WindowsDES, WindowsNull}
	}
	p := windows("Windows 10", 0x0a00, o)
	keyModules := vendor("01528bbbc00696121849ab9a1c5b2a5100000001")
	p.IKE.Vendors = append([][]byte{keyModules}, windowsVendors(9)...)
	return p
}

// Windows7 is the built-in client of Windows 7 with its service pack.
func Windows7(o WindowsOptions) Profile {
	if o.Ciphers == nil {
		o.Ciphers = []WindowsCipher{WindowsAES128, Windows3DES, WindowsDES}
	}
	p := windows("Windows 7", 0x0601, o)
	p.IKE.Vendors = windowsVendors(8)
	return p
}

func seconds(list ...int) []time.Duration {
	var d []time.Duration
	for _, s := range list {
		d = append(d, time.Duration(s)*time.Second)
	}
	return d
}
