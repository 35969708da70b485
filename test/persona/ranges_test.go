package persona

import (
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// ranges are the behaviours that nobody has seen on a wire, one deviation at a time.
var ranges = map[string]func() Profile{
	"RouterOS asks for name servers":           func() Profile { return RouterOS(RouterOSOptions{DNS: true}) },
	"RouterOS without IPv6":                    func() Profile { return RouterOS(RouterOSOptions{NoIPv6: true}) },
	"RouterOS asks for MPPE of no size":        func() Profile { return RouterOS(RouterOSOptions{MPPE: 0x01000000}) },
	"RouterOS asks for MPPC":                   func() Profile { return RouterOS(RouterOSOptions{MPPE: 0x01000041}) },
	"RouterOS asks for MPPC and BSD-Compress":  func() Profile { return RouterOS(RouterOSOptions{MPPE: 1, BSD: true}) },
	"RouterOS with few attributes in SCCRQ":    func() Profile { return RouterOS(RouterOSOptions{Sparse: true}) },
	"RouterOS from another port than 1701":     func() Profile { return RouterOS(RouterOSOptions{Ephemeral: true}) },
	"RouterOS from any port":                   func() Profile { return RouterOS(RouterOSOptions{Ephemeral: true, AnyPort: true}) },
	"RouterOS from any port, which is 1701":    func() Profile { return RouterOS(RouterOSOptions{AnyPort: true}) },
	"RouterOS from any port without NAT-OA":    func() Profile { return RouterOS(RouterOSOptions{Seven: true, AnyPort: true, NoNATOA: true}) },
	"RouterOS without NAT-OA":                  func() Profile { return RouterOS(RouterOSOptions{NoNATOA: true}) },
	"RouterOS with the group first":            func() Profile { return RouterOS(RouterOSOptions{GroupFirst: true}) },
	"RouterOS with lengths":                    func() Profile { return RouterOS(RouterOSOptions{Length: true}) },
	"RouterOS asks for short headers":          func() Profile { return RouterOS(RouterOSOptions{PFC: true}) },
	"RouterOS ends without a word of PPP":      func() Profile { return RouterOS(RouterOSOptions{NoGoodbye: true}) },
	"RouterOS 7":                               func() Profile { return RouterOS(RouterOSOptions{Seven: true}) },
	"RRAS without multilink":                   func() Profile { return RRAS(RRASOptions{NoMulti: true}) },
	"RRAS wants the server to prove who it is": func() Profile { return RRAS(RRASOptions{Mutual: true}) },
	"RRAS asks for an address":                 func() Profile { return RRAS(RRASOptions{Address: netip.MustParseAddr("192.168.77.1")}) },
	"RRAS asks for an address in use":          func() Profile { return RRAS(RRASOptions{Address: netip.MustParseAddr("10.83.0.1")}) },
	"RRAS without name servers":                func() Profile { return RRAS(RRASOptions{NoDNS: true}) },
	"RRAS begins IPv6 last":                    func() Profile { return RRAS(RRASOptions{IPv6Last: true}) },
	"Windows without lengths":                  func() Profile { return Windows10(WindowsOptions{}) },
	"Windows asks for three ciphers": func() Profile {
		return Windows10(WindowsOptions{Ciphers: []WindowsCipher{WindowsAES256, WindowsAES128, Windows3DES}})
	},
	"Windows acknowledges at once": func() Profile { return Windows10(WindowsOptions{Length: true}) },
	"Windows acknowledges late":    func() Profile { return Windows10(WindowsOptions{Length: true, Ack: 900 * time.Millisecond}) },
	"Windows names no bearer": func() Profile {
		return Windows10(WindowsOptions{ICRQ: func(session uint16) []wire.AVP {
			return []wire.AVP{wire.M(14, wire.U16(session)...), wire.M(15, wire.U32(0)...)}
		}})
	},
	"Windows names a channel that must be understood": func() Profile {
		return Windows10(WindowsOptions{ICRQ: func(session uint16) []wire.AVP {
			return []wire.AVP{
				wire.M(14, wire.U16(session)...), wire.M(15, wire.U32(7)...), wire.M(18, wire.U32(2)...), wire.M(25, wire.U32(0)...),
			}
		}})
	},
	"Windows tells what it authenticated": func() Profile {
		return Windows10(WindowsOptions{ICCN: []wire.AVP{
			wire.M(24, wire.U32(1)...), wire.M(19, wire.U32(1)...), wire.O(29, wire.U16(4)...), wire.O(38, wire.U32(1)...), wire.O(30, []byte("alice")...),
		}})
	},
	"Windows 7 without lengths":                    func() Profile { return Windows7(WindowsOptions{Ack: 500 * time.Millisecond}) },
	"Apple acknowledges at once":                   func() Profile { return Apple(AppleOptions{}) },
	"Apple acknowledges late":                      func() Profile { return Apple(AppleOptions{Ack: 900 * time.Millisecond}) },
	silent:                                         func() Profile { return Android(AndroidOptions{}) },
	"xl2tpd of old":                                oldXL2TPD,
	"strongSwan with lifetimes of a day":           func() Profile { return lasting(NetworkManager(NetworkManagerOptions{}), 86400) },
	"ChromeOS with strongSwan's list in CBC first": func() Profile { return ChromeOS(ChromeOSOptions{}) },
}

// silent names the variant that ends L2TP and does not delete its SAs.
const silent = "Android leaves without Delete"

// oldXL2TPD sends the receive speed with the M bit.
func oldXL2TPD() Profile {
	p := NetworkManager(NetworkManagerOptions{})
	p.L2TP = xl2tpd(xl2tpdOptions{host: "persona", window: 8, speed: 100000000, mandatoryRx: true})
	return p
}

// lasting returns a profile whose lifetimes need a long attribute.
func lasting(p Profile, seconds uint32) Profile {
	p.IKE.SA = charonSA(seconds, desktop...)
	p.ESP.SA = charonESP(seconds, espSuite{espAES, 256, espSHA1})
	return p
}

func TestWhatNobodyHasSeenWorksEitherWay(t *testing.T) {
	for name, make := range ranges {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{})
				p := make()
				c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				passes(t, w, c, 1)
				if err := c.Rekey(); err != nil {
					t.Error(err)
				}
				passes(t, w, c, 11)
				if err := c.Close(); err != nil {
					t.Errorf("it does not leave as it likes: %v", err)
				}
				time.Sleep(10 * time.Second)
				if n := w.Server.Counts().Users; n != 0 {
					t.Errorf("%d users are left after ten seconds", n)
				}
				if name == silent {
					time.Sleep(time.Minute) // because it might call again for that long
				}
				w.WantNothingLeft(t)
			})
		})
	}
}
