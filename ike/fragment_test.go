package ike

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// inPieces makes the messages of both ends travel as fragments of size bytes.
func (p *pair) inPieces(size int, shuffle func([][]byte) [][]byte) {
	p.tamper = func(d datagram) []datagram {
		if h, err := Peek(d.data); err != nil || h.Cookies.Responder == [8]byte{} {
			return []datagram{d} // fragments are not agreed on yet
		}
		list := cut(d.data, 1, size)
		if shuffle != nil {
			list = shuffle(list)
		}
		var out []datagram
		for _, b := range list {
			piece := d
			piece.data = b
			out = append(out, piece)
		}
		return out
	}
}

func TestEveryMessageInFragments(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 1))
	for name, shuffle := range map[string]func([][]byte) [][]byte{
		"in order":  nil,
		"backwards": backwards,
		"twice": func(l [][]byte) [][]byte {
			l = append(l, l...)
			dice.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
			return l
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.inPieces(50, shuffle)
			p.establish().works()
			if name != "twice" && len(p.dropped) > 0 {
				t.Errorf("dropped: %v", p.dropped)
			}
		})
	}
}

func backwards(l [][]byte) (reversed [][]byte) {
	for i := len(l) - 1; i >= 0; i-- {
		reversed = append(reversed, l[i])
	}
	return reversed
}

// A fragment with the bytes that other implementations write (MS-IKEE, section
// 2.2.3).
func TestFragmentOnTheWire(t *testing.T) {
	msg := isakmp.AppendMessage(nil, isakmp.Header{
		InitiatorCookie: [8]byte{1}, ResponderCookie: [8]byte{2}, Version: isakmp.Version1,
		Exchange: ExchangeMain, Flags: isakmp.FlagEncryption,
	}, isakmp.Raw{Kind: isakmp.PayloadID, Body: make([]byte, 12)})
	list := cut(msg, 1, 32)
	want := [][]byte{
		unhex(t, `0100000000000000 0200000000000000 84 10 02 00 00000000 00000044
			00000028 0001 01 00
			0100000000000000 0200000000000000 05 10 02 01 00000000 0000002c 00000010`),
		unhex(t, `0100000000000000 0200000000000000 84 10 02 00 00000000 00000030
			00000014 0001 02 01 000000000000000000000000`),
	}
	if len(list) != len(want) {
		t.Fatalf("%d fragments, want %d", len(list), len(want))
	}
	for i := range want {
		if !bytes.Equal(list[i], want[i]) {
			t.Errorf("fragment %d is\n%x, want\n%x", i+1, list[i], want[i])
		}
	}
}

// A duplicate of a request is recognised whether or not it comes in fragments, and
// gets the same answer.
func TestDuplicateInFragmentsIsKnown(t *testing.T) {
	p := newPair(t)
	var third datagram
	var answers [][]byte
	p.tamper = func(d datagram) []datagram {
		switch {
		case d.fromClient && d.data[16] == byte(isakmp.PayloadKE):
			third = d
		case !d.fromClient && d.data[16] == byte(isakmp.PayloadKE):
			answers = append(answers, d.data)
			return nil
		}
		return []datagram{d}
	}
	p.initiate()
	for range 2 {
		for _, b := range cut(third.data, 7, 100) {
			p.wire = append(p.wire, datagram{fromClient: true, path: third.path, data: b})
		}
		p.run()
	}
	if len(answers) != 3 || !bytes.Equal(answers[0], answers[1]) || !bytes.Equal(answers[0], answers[2]) {
		t.Errorf("%d answers, or different ones; dropped: %v", len(answers), p.dropped)
	}
}

func TestFragmentsAreBounded(t *testing.T) {
	now := epoch
	piece := func(id uint16, n uint8, last bool, data string) isakmp.Fragment {
		return isakmp.Fragment{ID: id, Number: n, Last: last, Data: []byte(data)}
	}
	add := func(a *assembly, f isakmp.Fragment) string {
		b, _, err := a.add(now, f)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	var a assembly
	steps := []struct {
		name string
		f    isakmp.Fragment
		want string
	}{
		{"the first of three", piece(1, 1, false, "a"), ""},
		{"the last of three", piece(1, 3, true, "c"), ""},
		{"the first again", piece(1, 1, false, "a"), ""},
		{"the second", piece(1, 2, false, "b"), "abc"},
		{"the first of the next with the same id", piece(1, 1, false, "x"), ""},
		{"another id replaces it", piece(2, 1, false, "1"), ""},
		{"and is completed", piece(2, 2, true, "2"), "12"},
		{"one that never ends", piece(1, 1, false, "a"), ""},
		{"is contradicted by another first", piece(1, 1, false, "b"), ""},
		{"which counts", piece(1, 2, true, "c"), "bc"},
		{"behind the last", piece(1, 2, true, "b"), ""},
		{"nothing comes: it begins anew", piece(1, 3, false, "c"), ""},
		{"so that the first", piece(1, 1, false, "a"), ""},
		{"is not enough", piece(1, 2, false, "b"), ""},
	}
	for _, s := range steps {
		if got := add(&a, s.f); got != s.want {
			t.Errorf("%s: %q, want %q", s.name, got, s.want)
		}
	}
	if _, _, err := a.add(now, piece(1, maxFragments+1, true, "z")); !errors.Is(err, ErrLimit) {
		t.Errorf("fragment %d: %v", maxFragments+1, err)
	}
	a = assembly{}
	large := string(make([]byte, maxWhole/2+1))
	if got := add(&a, piece(1, 1, false, large)); got != "" {
		t.Error(got)
	}
	if _, _, err := a.add(now, piece(1, 2, true, large)); !errors.Is(err, ErrLimit) || a.Size != 0 || a.Parts != nil {
		t.Errorf("more than %d bytes: %v, %d bytes are kept", maxWhole, err, a.Size)
	}
	a = assembly{}
	_ = add(&a, piece(1, 1, false, "old"))
	now = now.Add(fragmentTime)
	if got := add(&a, piece(1, 2, true, "new")); got != "" {
		t.Errorf("after %v the old fragment was still there: %q", fragmentTime, got)
	}
}

// A timer discards fragments that are never completed.
func TestIncompleteMessageIsForgotten(t *testing.T) {
	p := newPair(t).establish()
	msg := isakmp.AppendMessage(nil, p.server.sa.header(ExchangeQuick, 1), isakmp.Fragment{ID: 1, Number: 2, Data: make([]byte, 1000)})
	if err := p.server.sa.HandlePacket(p.now, p.server.sa.st.Path, msg); err != nil {
		t.Fatal(err)
	}
	if d := p.server.sa.Deadline(); !d.Equal(p.now.Add(fragmentTime)) {
		t.Errorf("deadline %v, want %v", d, p.now.Add(fragmentTime))
	}
	p.wait(fragmentTime + time.Second)
	if p.server.sa.st.Parts.Parts != nil {
		t.Error("the fragment is still there")
	}
}

// Only large messages are cut, and only for peers that accept fragments.
func TestLargeMessagesAreCutForWhoTakesFragments(t *testing.T) {
	for _, takes := range []bool{true, false} {
		p := newPair(t)
		if !takes {
			p.client.env.Policy.VendorIDs = []VendorID{VendorRFC3947}
		}
		p.establish()
		largest, n := 0, 0
		p.tamper = func(d datagram) []datagram {
			if !d.fromClient {
				largest, n = max(largest, len(d.data)), n+1
			}
			return []datagram{d}
		}
		s := p.server.sa
		msg := isakmp.AppendMessage(nil, s.header(ExchangeInformational, 9), isakmp.Raw{Kind: isakmp.PayloadNotify, Body: make([]byte, 3000)})
		s.send(s.st.Path, msg)
		p.run()
		if takes && (largest > fragmentSize || n != 3) || !takes && (largest != len(msg) || n != 1) {
			t.Errorf("the client takes fragments: %v; it got %d messages of up to %d bytes", takes, n, largest)
		}
	}
}

// Without the vendor ID in the policy fragments are neither sent nor accepted.
func TestFragmentsThatWereNotOfferedAreRefused(t *testing.T) {
	p := newPair(t)
	p.server.env.Policy.VendorIDs = []VendorID{VendorRFC3947}
	p.inPieces(100, nil)
	p.initiate()
	if p.client.sa.Established() || len(p.dropped) == 0 || !errors.Is(p.dropped[0], ErrUnexpected) {
		t.Errorf("dropped: %v", p.dropped)
	}
	if p.client.sa.Peer().Fragments {
		t.Error("the client believes that the server takes fragments")
	}
}

// FuzzFragments feeds fragments: number, last, id and data of each in turn.
func FuzzFragments(f *testing.F) {
	f.Add([]byte{1, 0, 1, 3, 'a', 'b', 'c', 2, 1, 1, 1, 'd'})
	f.Add([]byte{2, 1, 1, 1, 'a', 1, 0, 1, 0, 40, 1, 9, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		var a assembly
		now := epoch
		for len(b) > 4 {
			frag := isakmp.Fragment{Number: max(b[0], 1), Last: b[1]&1 != 0, ID: uint16(b[2])}
			n := min(int(b[3]), len(b)-4)
			frag.Data = bytes.Repeat(b[4:4+n], 1+int(b[1]>>1))
			now = now.Add(time.Duration(b[2]) * 100 * time.Millisecond)
			b = b[4+n:]
			whole, _, err := a.add(now, frag)
			held := 0
			for _, part := range a.Parts {
				held += len(part)
			}
			switch {
			case held != a.Size || held > maxWhole || len(a.Parts) > maxFragments || len(whole) > maxWhole:
				t.Fatalf("%d bytes in %d parts are held, said to be %d", held, len(a.Parts), a.Size)
			case whole != nil && (err != nil || a.Parts != nil):
				t.Fatalf("a whole message, and %v, and %d parts", err, len(a.Parts))
			case whole != nil && frag.Number == 1 && frag.Last && !bytes.Equal(whole, frag.Data):
				t.Fatal("a message of one fragment is another")
			}
		}
	})
}
