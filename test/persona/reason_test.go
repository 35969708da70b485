package persona

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// What is refused is named in the log, even if it has no name here, and so is the remedy.
func TestWhatAClientOffersInVainIsNamed(t *testing.T) {
	one := func(enc, bits, auth, hash, group uint16) []byte {
		return phase1SA(phase1Attributes(28800, enc, bits, auth, hash, group))
	}
	for name, tt := range map[string]struct {
		change func(*Profile)
		texts  []string
	}{
		"DES with group 1":       {func(p *Profile) { p.IKE.SA = one(ikeDES, 0, 1, ikeMD5, 1) }, []string{"offers no suite that is accepted", "DES-MD5-MODP768"}},
		"DES":                    {func(p *Profile) { p.IKE.SA = one(ikeDES, 0, 1, ikeSHA1, 2) }, []string{"offers no suite that is accepted", "DES-SHA1-MODP1024"}},
		"group 1":                {func(p *Profile) { p.IKE.SA = one(ikeAES, 256, 1, ikeSHA1, 1) }, []string{"AES256-SHA1-MODP768"}},
		"a group without a name": {func(p *Profile) { p.IKE.SA = one(ikeAES, 256, 1, ikeSHA1, 24) }, []string{"AES256-SHA1-Group(24)"}},
		"Camellia":               {func(p *Profile) { p.IKE.SA = one(8, 128, 1, ikeSHA1, 14) }, []string{"Camellia128-SHA1-MODP2048"}},
		"a cipher without name":  {func(p *Profile) { p.IKE.SA = one(65005, 128, 1, 7, 14) }, []string{"cipher 65005128-hash 7-MODP2048"}},
		"XAUTH with a key":       {func(p *Profile) { p.IKE.SA = one(ikeAES, 256, 65001, ikeSHA1, 2) }, []string{"XAUTH", "choose L2TP/IPsec", "AES256-SHA1-MODP1024"}},
		"XAUTH with a group name": {func(p *Profile) {
			p.IKE.SA, p.IKE.GroupName = one(ikeAES, 256, 65001, ikeSHA1, 2), "staff"
		}, []string{"XAUTH", "choose L2TP/IPsec", "AES256-SHA1-MODP1024"}},
		"XAUTH with certificate": {func(p *Profile) { p.IKE.SA = one(ikeAES, 256, 65005, ikeSHA1, 14) }, []string{"XAUTH", "choose L2TP/IPsec"}},
		"hybrid XAUTH with DES":  {func(p *Profile) { p.IKE.SA = one(ikeDES, 0, 64221, ikeMD5, 1) }, []string{"XAUTH", "choose L2TP/IPsec", "DES-MD5-MODP768"}},
		"a method without name":  {func(p *Profile) { p.IKE.SA = one(ikeAES, 256, 77, ikeSHA1, 14) }, []string{"method 77"}},
		"XAUTH, and DES by key": {func(p *Profile) {
			p.IKE.SA = phase1SA(phase1Attributes(28800, ikeAES, 256, 65001, ikeSHA1, 14), phase1Attributes(28800, ikeDES, 0, 1, ikeMD5, 1))
		}, []string{"XAUTH", "choose L2TP/IPsec", "DES-MD5-MODP768"}},
		"Quick Mode for TCP": {func(p *Profile) {
			p.Odd.Extra = map[string][]wire.Payload{"Quick Mode": {{Type: wire.PayloadID, Body: []byte{1, 6, 0, 80, 1, 2, 3, 4}}}}
		}, []string{"ESP refused", "3 identifications"}},
		"AH": {func(p *Profile) {
			p.ESP.SA = func(_ uint16, spi uint32) []byte {
				return wire.SABody(wire.Proposal{Number: 1, Protocol: 2, SPI: wire.U32(spi), Transforms: []wire.Transform{{Number: 1, ID: 3}}})
			}
		}, []string{"ESP refused", "AH, transform 3"}},
		"DES in ESP": {func(p *Profile) { p.ESP.SA = kameESP(3600, []espCipher{{2, 0}}, []uint16{espSHA1}) }, []string{"ESP refused", "DES/SHA1-96"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := Android(AndroidOptions{Deletes: true})
				tt.change(&p)
				w := sim.New(t, sim.Options{})
				_, _ = fails(t, w, p, account)
				explains(t, w, tt.texts...)
			})
		})
	}
}

// After message 4 a client moves to port 4500. If nothing arrives there, a firewall is
// the reason. If the client keeps asking for message 4, it is not.
func TestAClosedPort4500IsNamed(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		w.Net.SetPolicy(udptest.Policy{Drop: func(d udptest.Datagram) bool { return d.Dst.Port() == portNATT || d.Src.Port() == portNATT }})
		_, err := fails(t, w, p, account)
		if !errors.As(err, new(*GaveUp)) {
			t.Errorf("it ended with %v", err)
		}
		explains(t, w, "port 4500", "firewall")
	})
	bubble(t, func(t *testing.T) {
		w := sim.New(t, sim.Options{})
		answers := 0
		w.Net.SetPolicy(udptest.Policy{Drop: func(d udptest.Datagram) bool {
			if d.Src.Addr() != netip.MustParseAddr(sim.ServerAddr) {
				return false
			}
			answers++
			return answers > 1 // message 4 does not reach the client
		}})
		_, _ = fails(t, w, Android(AndroidOptions{}), account)
		explains(t, w, "IKE failed before the pre-shared key was proved; the client")
	})
}

// In Aggressive Mode the client finds out that a key is wrong. It says so in clear, under
// keys that only it has, or not at all.
func TestAWrongKeyInAggressiveModeIsCalledOne(t *testing.T) {
	for _, notifies := range []bool{false, true} {
		t.Run(fmt.Sprint(notifies), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{Policy: func(p *vpn.Policy) {
					p.IKE.Aggressive = true
					p.IKE.PSKs[0].Group = "staff"
				}})
				p := Android(AndroidOptions{Deletes: true})
				p.IKE.GroupName, p.Odd.Notifies = "staff", notifies
				a := account
				a.PSK = "another key"
				if _, err := fails(t, w, p, a); !strings.Contains(fmt.Sprint(err), "another key") {
					t.Errorf("it ended with %v", err)
				}
				explains(t, w, "wrong pre-shared key")
			})
		})
	}
}
