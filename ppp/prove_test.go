package ppp

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// asked returns the data of the last Echo-Request that was sent for a proof.
func asked(d *ladder) string { return hex.EncodeToString(d.l.s.proof.data) }

func TestProofIsTheDataThatWasSent(t *testing.T) {
	d := newLadder(t, serverConfig(MethodMSCHAPv2))
	openNetwork(d)
	d.l.Prove(d.now)
	first := asked(d)
	out := d.since(func() { d.drain() })
	machinetest.WantLine(t, out, "< LCP Echo-Request")
	for _, wrong := range []string{"", strings.Repeat("00", proofLen), first[2:], first + "00"} {
		length := []byte{0, byte(8 + len(wrong)/2)}
		out := d.since(func() { d.recv("c021 0a 01 " + hex.EncodeToString(length) + "11223344" + wrong) })
		machinetest.WantNoLine(t, out, "Proved")
	}
	out = d.since(func() { d.recv("c021 0a 01 0018 11223344" + first) })
	machinetest.WantLine(t, out, "Proved")
	out = d.since(func() { d.recv("c021 0a 01 0018 11223344" + first) })
	machinetest.WantNoLine(t, out, "Proved")
}

func TestAnEarlierProofCountsNoMore(t *testing.T) {
	d := newLadder(t, serverConfig(MethodMSCHAPv2))
	openNetwork(d)
	d.l.Prove(d.now)
	first := asked(d)
	d.l.Prove(d.now)
	if asked(d) == first {
		t.Fatal("the same data was asked for twice")
	}
	out := d.since(func() { d.recv("c021 0a 01 0018 11223344" + first) })
	machinetest.WantNoLine(t, out, "Proved")
	d.recv("c021 05 09 0004") // the peer terminates
	d.l.Prove(d.now)
	if asked(d) != "" {
		t.Error("a link that is not open asks for a proof, or waits for an earlier one")
	}
}

func TestAProofIsAskedForFiveTimes(t *testing.T) {
	d := newLadder(t, serverConfig(MethodMSCHAPv2))
	openNetwork(d)
	out := d.since(func() {
		d.l.Prove(d.now)
		d.drain()
		for range 10 {
			d.l.HandleData(d.now) // so that no Echo-Request for liveness is sent
			d.wait(2 * time.Second)
		}
	})
	if n := strings.Count(out, "Echo-Request"); n != proofTries {
		t.Errorf("%d Echo-Requests, want %d:\n%s", n, proofTries, out)
	}
}
