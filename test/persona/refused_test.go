package persona

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// A refused daemon says goodbye in its own way, at once: pppd terminates the link and
// exits, then xl2tpd or kl2tpd ends the tunnel, then the SAs are deleted. Ten seconds
// later the server holds nothing of it.
func TestDesktopsAndRoutersLeaveAfterTheirPasswordWasRefused(t *testing.T) {
	for _, make := range slices.Concat(desktops, routers) {
		p := make()
		t.Run(p.Name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{})
				a := account
				a.Password = "wrong"
				c := start(t, p, a, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				if err := c.Dial(); err == nil {
					t.Fatal("it got in")
				}
				if s := c.Stats(); !strings.HasPrefix(s.ChapFailure, "E=691 R=0 ") {
					t.Errorf("it heard %q", s.ChapFailure)
				}
				if err := c.Close(); err != nil {
					t.Errorf("it does not leave as it likes: %v", err)
				}
				time.Sleep(10 * time.Second)
				w.WantNothingLeft(t)
			})
		})
	}
}

// A router that asks for perfect forward secrecy with a group unknown to the server, here
// number 22, is told so under the protection of phase 1.
func TestRoutersAreToldThatTheirGroupOfPFSIsRefused(t *testing.T) {
	for _, seven := range []bool{false, true} {
		p := RouterOS(RouterOSOptions{Seven: seven})
		known := p.ESP.SA
		p.ESP.SA = func(mode uint16, spi uint32) []byte {
			list, err := wire.ParseSA(known(mode, spi))
			if err != nil {
				panic(err)
			}
			for i, x := range list[0].Transforms {
				list[0].Transforms[i].Attributes = append(x.Attributes[:len(x.Attributes)-4:len(x.Attributes)-4], wire.TV(3, 22)...)
			}
			return wire.SABody(list...)
		}
		t.Run(p.Name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{})
				s, err := fails(t, w, p, account)
				if !slices.Equal(s.Notifies, []uint16{wire.NoProposalChosen}) {
					t.Errorf("it ended with %v, and heard %v, want NO-PROPOSAL-CHOSEN", err, s.Notifies)
				}
				tells(t, w, "Why:no acceptable proposal")
			})
		})
	}
}

// A router whose profile allows only PAP cannot agree with a server that accepts only
// MS-CHAPv2. Neither authenticates otherwise, and the server says why it ends the link.
func TestARouterThatAllowsPAPAloneIsToldThatNothingIsInCommon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := sim.New(t, sim.Options{})
		_, err := fails(t, w, RouterOS(RouterOSOptions{Auth: [][]byte{authPAP}}), account)
		if !strings.Contains(err.Error(), "accepts no offered authentication method") {
			t.Errorf("it ended with %v", err)
		}
		tells(t, w, "Why:the client allows no authentication method of auth.methods")
	})
}
