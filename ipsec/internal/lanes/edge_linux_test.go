package lanes

import (
	"bytes"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// atTheEdge returns n bytes at the end of a page, behind a page and in front of
// one that cannot be touched: code that reads or writes beyond either end crashes. The
// first return value ends on the edge, the second begins on one.
func atTheEdge(t *testing.T, n int) (last, first []byte) {
	t.Helper()
	page := unix.Getpagesize()
	room := (n + page - 1) / page * page
	b, err := unix.Mmap(-1, 0, room+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	for _, edge := range [][]byte{b[:page], b[page+room:]} {
		if err := unix.Mprotect(edge, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	b = b[page : page+room]
	return b[room-n : room : room], b[:n:n]
}

// No kernel touches a byte beyond a packet, not even to read it.
func TestCBCStaysWithinThePacket(t *testing.T) {
	eachTier(func(tier Tier) {
		e, r := New(tier), newRand(6)
		for _, size := range []int{16, 24, 32} {
			k, block := newKey(t, r, size)
			other, _ := newKey(t, r, size)
			for n := 0; n <= 16*36; n += 16 {
				last, first := atTheEdge(t, n)
				for _, data := range [][]byte{last, first} {
					for _, jobs := range [][]CBC{
						{{k, data}},
						{{k, data}, {other, make([]byte, 320)}},
						{{other, make([]byte, 320)}, {k, data}, {k, make([]byte, 64)}, {k, make([]byte, 96)}, {k, make([]byte, 640)}},
					} {
						p := newPacket(r, k, block, n)
						copy(data, p.job.Data)
						e.EncryptCBC(jobs)
						e.DecryptCBC(jobs)
						if string(data) != string(p.job.Data) {
							t.Fatalf("%v: %d bytes did not come back", tier, n)
						}
					}
				}
			}
		}
	})
}

// Neither does the one that encrypts and hashes at once.
func TestSealingStaysWithinThePacket(t *testing.T) {
	r := newRand(25)
	for _, e := range engines() {
		k := newKeys(t, r, 32, SHA1)
		for blocks := range 30 {
			n := HeadSize + BlockSize*(1+blocks)
			last, first := atTheEdge(t, n)
			for _, data := range [][]byte{last, first} {
				var packets []Packet
				for range 15 {
					packets = append(packets, newSealing(r, k, blocks).packet)
				}
				s := newSealing(r, k, blocks)
				copy(data, s.packet.Data)
				s.packet.Data = data
				e.Seal(slices.Insert(packets, 8, s.packet))
				at := cap(s.buf) - cap(s.packet.Sum) - n
				if !bytes.Equal(data, s.want[at:at+n]) || !bytes.Equal(s.packet.Sum, s.want[at+n:at+n+12]) {
					t.Fatalf("%s: %d blocks on the edge of a page are wrong", e.name, blocks)
				}
			}
		}
	}
}
