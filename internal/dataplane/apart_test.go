package dataplane

import (
	"bytes"
	"net/netip"
	"testing"
	"testing/synctest"
)

// Clients that are kept apart do not reach each other, nor the networks behind each
// other: neither directly, nor where the host sends a packet of a client's back to the
// device. Everybody else reaches them, and they everybody else.
func TestClientToClient(t *testing.T) {
	addr := netip.MustParseAddr
	other := []netip.Prefix{netip.MustParsePrefix("10.83.0.77/32"), netip.MustParsePrefix("172.16.5.0/24"), netip.MustParsePrefix("2001:db8:1:77::/64"), netip.MustParsePrefix("2001:db8:f000::/56")}
	own := []netip.Prefix{netip.PrefixFrom(clientAddr, 32), netip.MustParsePrefix("172.16.9.0/24"), six, netip.MustParsePrefix("2001:db8:f009::/56")}
	for _, tt := range []struct {
		name     string
		from, to string // the client or what is behind it, and the other end
		client   bool   // which is another client, or behind one
	}{
		{"to a client", clientAddr.String(), "10.83.0.77", true},
		{"to a network behind a client", clientAddr.String(), "172.16.5.9", true},
		{"from a network to a client", "172.16.9.9", "10.83.0.77", true},
		{"from a network to a network", "172.16.9.9", "172.16.5.9", true},
		{"to a client by IPv6", sixAddr.String(), "2001:db8:1:77::1", true},
		{"to a delegated prefix", sixAddr.String(), "2001:db8:f000:9::1", true},
		{"from a delegated prefix", "2001:db8:f009::1", "2001:db8:1:77::1", true},
		{"from a delegated prefix to another", "2001:db8:f009::1", "2001:db8:f000:9::1", true},
		{"to others", clientAddr.String(), farAddr.String(), false},
		{"from a network to others", "172.16.9.9", farAddr.String(), false},
		{"beside a network", clientAddr.String(), "172.16.6.9", false},
		{"to others by IPv6", sixAddr.String(), sixFar.String(), false},
		{"from a delegated prefix to others", "2001:db8:f009::1", sixFar.String(), false},
	} {
		for _, allowed := range []bool{false, true} {
			inRig(t, Config{ClientToClient: allowed}, func(r *rig) {
				slot, err := r.plane.NewSlot(&inbox{})
				if err != nil {
					t.Fatal(err)
				}
				another := NewSession(1, 1, false)
				for i := range other {
					if err := r.plane.Route(other[i], slot, another); err != nil {
						t.Fatal(err)
					}
					if err := r.plane.Route(own[i], r.slot, r.session); err != nil {
						t.Fatal(err)
					}
				}
				r.session.SetNetwork(own, 1400)
				pass := allowed || !tt.client
				from, to := addr(tt.from), addr(tt.to)
				make := udp4
				if from.Is6() {
					make = udp6
				}
				ip := make(from, to, 53, 30)
				r.client.ip(ip)
				synctest.Wait()
				if got := r.device.Poll(); bytes.Equal(got, ip) != pass || !pass && got != nil {
					t.Errorf("%s, client_to_client %v: the device got %x", tt.name, allowed, got)
				}
				back := make(to, from, 53, 30) // as if another had sent it by way of the host
				r.device.Inject(0, back)
				if pass {
					synctest.Wait()
					if got := r.client.nextIP(); !bytes.Equal(got, back) {
						t.Errorf("%s, client_to_client %v: the client got %x", tt.name, allowed, got)
					}
					return
				}
				r.wantDrop(DropClient, 2, tt.name)
				if n := r.session.Counters().OutPackets; n != 0 {
					t.Errorf("%s: %d packets went to the client", tt.name, n)
				}
			})
		}
	}
}
