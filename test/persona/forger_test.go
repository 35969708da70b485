package persona

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// Somebody who knows the pre-shared key does Main Mode from an address of their own and
// forges the source of its last message. They know the answer without receiving it, since
// nothing in it is secret to them. Then they begin Quick Mode from their own address, or
// forge that source, too. A client with several uplinks looks the same up to this point,
// but the forger must never get any of the victim's traffic.
func TestAForgerOfMessage5GetsNothingOfItsVictims(t *testing.T) {
	for name, forges := range map[string]bool{"Quick Mode from its own address": false, "Quick Mode from the victim's": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { forge(t, forges) })
		})
	}
}

func forge(t *testing.T, quick bool) {
	const mainMode, quickMode = 2, 32
	exchange := func(b []byte) byte { // after the non-ESP marker
		if len(b) < 32 || !bytes.Equal(b[:4], make([]byte, 4)) {
			return 0
		}
		return b[4+18]
	}
	w := sim.New(t, sim.Options{Seed: 1})
	p := Android(AndroidOptions{Deletes: true})
	victim := online(t, p, account, w.Net.Host("198.51.100.7"))
	victim.Lossless = false
	passes(t, w, victim, 1)

	evil := New(p, account, w.Net.Host("198.51.100.66"), 1, func(string) {})
	defer evil.Vanish()
	evil.own = victim.own // the address that it claims to have
	forged := 0
	evil.Via = func(port uint16, b []byte) *udptest.Conn {
		if e := exchange(b); port == portNATT && (e == mainMode || e == quickMode && quick) {
			forged++
			return victim.socks[port]
		}
		return evil.socks[port]
	}
	_ = victim.do(func() {
		victim.Heard = func(port uint16, src netip.AddrPort, b []byte) {
			if exchange(b) == mainMode { // message 6, which the forger could have made itself
				evil.inbox <- datagram{src, port, bytes.Clone(b)}
			}
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- evil.do(func() { evil.quickMode(evil.mainMode(false)); evil.call() }) }()
	for n := range uint32(20) {
		time.Sleep(3 * time.Second)
		passes(t, w, victim, 10*n+10)
	}
	if err := <-ended; err == nil && quick {
		t.Error("it has a tunnel under forged addresses")
	}
	if forged == 0 {
		t.Error("nothing was forged: the attack did not take place")
	}
	up := sim.All[vpn.PhaseOneUp](w.Events)
	for _, e := range up {
		if e.Adopted {
			t.Error("the forger's phase 1 became the victim's")
		}
	}
	if len(up) != 2 {
		t.Errorf("%d phases 1 came up, want 2", len(up))
	}
	for _, renew := range []func() error{victim.Rekey, victim.Rephase, victim.Rekey} {
		if err := renew(); err != nil {
			t.Errorf("the victim cannot renew its keys: %v", err)
		}
		passes(t, w, victim, 1000)
	}
}
