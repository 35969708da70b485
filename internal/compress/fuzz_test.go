package compress

import (
	"bytes"
	"testing"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// chunks splits what a fuzzer has into packets: a length, and so many bytes.
func chunks(b []byte) (list [][]byte) {
	for len(b) > 1 && len(list) < 64 {
		n := min(int(b[0])<<2, len(b)-1)
		list = append(list, b[1:1+n])
		b = b[1+n:]
	}
	return list
}

func joined(list ...[]byte) (b []byte) {
	for _, p := range list {
		for len(p)%4 != 0 {
			p = append(p, 0)
		}
		b = append(append(b, byte(len(p)>>2)), p...)
	}
	return b
}

// Arbitrary packets are opened or refused, as an independent receiver does it.
func FuzzMPPC(f *testing.F) {
	var far wire.MPPC
	var sent [][]byte
	for _, p := range packets() {
		sent = append(sent, far.Pack(append([]byte{0x21}, p[:min(len(p), 400)]...), true))
	}
	f.Add(joined(sent...))
	f.Add(joined([]byte{0xe0, 0, 0x21, 0xf0, 0x7f, 0xff}, []byte{0x20, 1, 0xff, 0xff}, []byte{0x60, 2, 0x21}))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, r := started(mppc)
		var far wire.MPPC
		dst := make([]byte, MaxPacket)
		whole := true // both have the same history
		for _, b := range chunks(data) {
			n, fault := r.Open(nil, dst, b, false)
			if fault == Fine && len(b) > 1 && b[0]&0x80 != 0 {
				whole = true
				far = wire.MPPC{}
			}
			if fault != Fine {
				if n != 0 {
					t.Fatalf("fault %d, and %d bytes", fault, n)
				}
				whole = whole && fault == Late
				continue
			}
			if !whole {
				t.Fatal("opened, with a history that is lost")
			}
			if got, err := far.Open(b); err != nil || !bytes.Equal(got, dst[:n]) {
				t.Fatalf("%x became\n%x, and an independent receiver has\n%x, %v", b, dst[:n], got, err)
			}
		}
	})
}

// Arbitrary packets are opened or refused, and none becomes longer than a packet may be.
func FuzzDeflate(f *testing.F) {
	s, _ := started(deflate(15))
	e := new(Encoder)
	var sent [][]byte
	for _, p := range packets() {
		out, _ := pack(s, e, p[:min(len(p), 400)])
		sent = append(sent, out)
	}
	f.Add(joined(sent...))
	d := NewDecoder()
	f.Fuzz(func(t *testing.T, data []byte) {
		_, r := started(deflate(15))
		dst := make([]byte, MaxPacket)
		for i, b := range chunks(data) {
			if i%5 == 4 {
				r.Skip(b, false)
				continue
			}
			if n, fault := r.Open(d, dst, b, false); fault != Fine && n != 0 || n > MaxPacket {
				t.Fatalf("fault %d, and %d bytes", fault, n)
			}
			if i%7 == 6 {
				r.Start()
			}
		}
	})
}

// Whatever is sent is what is received, by an independent receiver, too.
func FuzzPack(f *testing.F) {
	for _, p := range packets() {
		f.Add(p)
	}
	e, d := new(Encoder), NewDecoder()
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) == 0 || len(p) > 1396 {
			return
		}
		for _, c := range []Codec{mppc, deflate(15), deflate(9)} {
			s, r := started(c)
			out, ok := pack(s, e, p)
			if !ok {
				continue
			}
			dst := make([]byte, MaxPacket)
			n, fault := r.Open(d, dst, out, false)
			if fault != Fine || !bytes.Equal(unprotocol(dst[:n]), p) {
				t.Fatalf("%v: fault %d: %x", c, fault, out)
			}
			if c != mppc {
				continue
			}
			var far wire.MPPC
			if got, err := far.Open(out); err != nil || !bytes.Equal(unprotocol(got), p) {
				t.Fatalf("the independent receiver: %v: %x", err, out)
			}
		}
	})
}
