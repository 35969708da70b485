package sim

import (
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/vpn"
)

// A server that answers nonsense, or somebody who answers in its name, harms at most the
// user that the answer is about, and the log says so.
func TestGrantsThatNoClientCanHave(t *testing.T) {
	six := make([]netip.Prefix, 60)
	for i := range six {
		a := netip.MustParseAddr("2001:db8:5::").As16()
		a[7] = byte(i)
		six[i] = netip.PrefixFrom(netip.AddrFrom16(a), 64)
	}
	for name, g := range map[string]auth.Grant{
		"more IPv6 networks than an advertisement holds": {Settings: auth.Settings{Split: six}},
		"a domain of two lines":                          {Settings: auth.Settings{Domain: "corp.example\nnameserver 192.0.2.66"}},
		"a domain with an empty label":                   {Settings: auth.Settings{Domain: "corp..example"}},
		"the server's address":                           {Address: netip.MustParseAddr("10.83.0.1")},
		"a loopback address":                             {Address: netip.MustParseAddr("127.0.0.1")},
		"a multicast address":                            {Address: netip.MustParseAddr("224.0.0.5")},
		"a link-local address":                           {Address: netip.MustParseAddr("169.254.1.1")},
		"an address of this host":                        {Address: netip.MustParseAddr("0.0.0.7")},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				w := New(t, with6(Options{Backend: backend(g)}))
				before := w.Pool.InUse()
				if _, err := w.Laptop(w.Net.Host("198.51.100.7"), nil).Connect(ServerAddr); err == nil {
					t.Error("it was granted")
				}
				done := All[vpn.AuthDone](w.Events)
				if len(done) != 1 || done[0].Verdict != auth.NotAllowed || done[0].Detail == "" {
					t.Errorf("verdicts %+v, want one that says why", done)
				}
				if n := w.Pool.InUse(); n != before {
					t.Errorf("%d addresses stay leased", n-before)
				}
			})
		})
	}
}

// An MTU smaller than every host must accept would split each packet into dozens.
func TestTheLeastMTU(t *testing.T) {
	for _, mtu := range []int{1, 20, 28, 68, 575} {
		in(t, func(t *testing.T) {
			w, l, d, _ := connected(t, auth.Grant{MTU: mtu})
			passes(t, w, l, d, 7)
			long := append(datagram(internet, d.Network.Peer, 8), make([]byte, 1300)...)
			long[2], long[3] = byte(len(long)>>8), byte(len(long))
			w.Device.Inject(0, long)
			time.Sleep(time.Second)
			n := 0
			for b := l.Device.Poll(); b != nil; b = l.Device.Poll() {
				n++
			}
			if n == 0 || n > 3 {
				t.Errorf("MTU %d: a packet of 1328 bytes became %d", mtu, n)
			}
		})
	}
}
