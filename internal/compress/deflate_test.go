package compress

import (
	"bytes"
	"testing"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// Deflate numbers every packet, also those that are not compressed, and begins with 0 at a
// Reset-Ack.
func TestDeflateCountsEveryPacket(t *testing.T) {
	e, d := new(Encoder), NewDecoder()
	s, r := started(deflate(15))
	all := packets()
	var dst [MaxPacket]byte
	send := func(name string) Fault {
		out, ok := pack(s, e, all[name])
		if !ok {
			r.Skip(append([]byte{0x21}, out...), false)
			return Fine
		}
		_, fault := r.Open(d, dst[:], out, false)
		return fault
	}
	for _, name := range []string{"text", "noise", "english", "one byte", "zeroes"} {
		if fault := send(name); fault != Fine {
			t.Errorf("%s: fault %d", name, fault)
		}
	}
	_, _ = pack(s, e, all["noise"]) // lost, and has no number of its own
	if fault := send("text"); fault != Lost {
		t.Errorf("behind a lost packet: fault %d", fault)
	}
	if fault := send("text"); fault != Lost {
		t.Errorf("before the Reset-Ack: fault %d", fault)
	}
	s.Start()
	r.Start()
	for range leastPause {
		if fault := send("text"); fault != Fine {
			t.Errorf("as it is: fault %d", fault)
		}
	}
	if fault := send("text"); fault != Fine {
		t.Errorf("behind the Reset-Ack: fault %d", fault)
	}
}

// What was overtaken is not opened, and does not count, whatever its number is: the history
// that it was made with is not this one.
func TestDeflateOpensNothingThatWasOvertaken(t *testing.T) {
	d := NewDecoder()
	var far wire.Deflate
	p := append([]byte{0x21}, prose(600)...)
	first, _ := far.Pack(p)
	second, _ := far.Pack(p)
	third, _ := far.Pack(p)
	_, r := started(deflate(15))
	dst := make([]byte, MaxPacket)
	for i, step := range []struct {
		packet []byte
		late   bool
		want   Fault
	}{{first, false, Fine}, {second, true, Late}, {second, false, Fine}, {nil, true, Fine}, {third, false, Fine}} {
		if step.packet == nil {
			r.Skip(p, step.late)
			continue
		}
		if n, fault := r.Open(d, dst, step.packet, step.late); fault != step.want || fault == Fine && !bytes.Equal(dst[:n], p) {
			t.Errorf("step %d: fault %d, want %d", i, fault, step.want)
		}
	}
}

// A peer that keeps asking for a new beginning gets more and more packets as they are,
// which it can take between a loss and the Reset-Ack; a good line gets them compressed again.
func TestDeflateYieldsToABadLine(t *testing.T) {
	e := new(Encoder)
	s, _ := started(deflate(15))
	asIs := func() (n int) {
		for {
			if _, ok := pack(s, e, packets()["text"]); ok {
				return n
			}
			n++
		}
	}
	if n := asIs(); n != 0 {
		t.Errorf("%d packets go as they are at first", n)
	}
	for _, want := range []int{leastPause, 2 * leastPause, 4 * leastPause} {
		s.Start()
		if n := asIs(); n != want {
			t.Errorf("%d packets go as they are behind a Reset-Ack, want %d", n, want)
		}
	}
	for range 20 {
		s.Start()
	}
	if n := asIs(); n != mostPause {
		t.Errorf("%d packets go as they are, want at most %d", n, mostPause)
	}
	for range 8 * mostPause {
		if n := asIs(); n != 0 {
			t.Fatalf("%d packets go as they are, and nobody asked", n)
		}
	}
	s.Start()
	if n := asIs(); n > leastPause {
		t.Errorf("after a good time %d packets go as they are", n)
	}
}
