package persona

import (
	"errors"
	"testing"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// Apple's and Android's clients name a group, and then offer only one Diffie-Hellman
// group.
func TestAppleAndAndroidConnectInAggressiveModeWithAGroup(t *testing.T) {
	const key = "the pre-shared key of the staff"
	apple := Apple(AppleOptions{})
	apple.IKE.SA = phase1SA(
		phase1Attributes(3600, ikeAES, 256, 1, ikeSHA256, 14), phase1Attributes(3600, ikeAES, 256, 1, ikeSHA1, 14),
		phase1Attributes(3600, ikeAES, 256, 1, ikeMD5, 14), phase1Attributes(3600, ikeAES, 256, 1, ikeSHA512, 14))
	for _, p := range []Profile{apple, Android(AndroidOptions{Deletes: true})} {
		p.IKE.GroupName = "staff"
		t.Run(p.Name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{
					Backend: auth.NewLocal([]auth.User{{Name: sim.User, Password: secret.String(sim.Password), Group: "staff"}}),
					Policy: func(p *vpn.Policy) {
						p.IKE.Aggressive = true
						p.IKE.PSKs = append(p.IKE.PSKs, ike.PSK{Name: "staff", Key: secret.String(key), Group: "staff"})
					},
				})
				a := account
				a.PSK = key
				c := online(t, p, a, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				passes(t, w, c, 1)
				if up := sim.All[vpn.PhaseOneUp](w.Events); len(up) != 1 || up[0].Peer.Group != "staff" {
					t.Errorf("phases 1 = %+v, want one of the staff", up)
				}
				leaves(t, w, c)

				a.PSK = "another key"
				wrong := start(t, p, a, w.Net.NAT("198.51.100.8").Host("192.168.1.10"))
				if err := wrong.Dial(); !errors.As(err, new(*Ended)) {
					t.Errorf("with a wrong key it ended with %v", err)
				}
			})
		})
	}
}
