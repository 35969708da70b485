//go:build amd64 && !purego

package lanes

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// group is what a hash kernel works on. Its layout is known to the kernels, up
// to words.
type group struct {
	state  [64]uint64  // words, each of all lanes, or of the SHA extensions' kernels lanes, each of all words
	cursor [16]uintptr // where each lane's next block is
	after  [16]uintptr // where it goes on when it has done as many as body
	body   [16]uint32  // blocks before it goes there; not if this is zero
	total  [16]uint32  // blocks that it has to do
	words  [64]uint64  // the kernels' own
	tails  [2048]byte  // the last block or two of every lane's message
}

// form is the shape of a hash (FIPS 180-4, figure 1).
type form struct {
	block  int // bytes of a block
	length int // bytes that are kept for the length of the message
	word   int // bytes of a word
	size   int // bytes of the result
}

var forms = [hashes]form{
	SHA1:   {64, 8, 4, 20},
	SHA256: {64, 8, 4, 32},
	SHA384: {128, 16, 8, 48},
	SHA512: {128, 16, 8, 64},
}

// none is no job. There are fewer.
const none = math.MaxUint8

// macScratch is what an Engine needs to compute HMACs with kernels.
type macScratch struct {
	queue
	plans  [hashes]plans
	group  *group
	kernel *kernel
	form   *form
	job    [16]uint8          // what each lane does
	held   [16]unsafe.Pointer // its packet: cursors do not count as pointers to it
	blocks [chunk][128]byte   // each job's outer block: its inner hash, padded
}

// newGroup returns a group that is not on a stack, which could move: cursors
// point to tails.
//
//go:noinline
func newGroup() *group { return new(group) }

func (g *group) pointer() *byte { return (*byte)(unsafe.Pointer(g)) }

// point lets a lane begin.
func (g *group) point(lane int, first, after *byte, body, total int) {
	g.cursor[lane&15] = uintptr(unsafe.Pointer(first))
	g.after[lane&15] = uintptr(unsafe.Pointer(after))
	g.body[lane&15] = uint32(body)
	g.total[lane&15] = uint32(total)
}

// steps is how many blocks the first lane that will be done has left, or the
// last one.
func (g *group) steps(lanes int, last bool) int {
	least, most := uint32(math.MaxUint32), uint32(0)
	for _, n := range g.total[:lanes] {
		least, most = min(least, n-1), max(most, n) // those that rest have zero
	}
	if last {
		return int(most)
	}
	return int(least) + 1
}

// start gives a lane a job: the blocks of the packet as they are, and a copy of
// the rest with the padding of FIPS 180-4, section 5.1.
func (s *macScratch) start(lane int, i uint8, j *MAC) {
	f, g := s.form, s.group
	s.job[lane] = i
	body, rest := len(j.Data)/f.block, len(j.Data)%f.block
	tail := g.tails[2*f.block*lane:][:2*f.block]
	copy(tail, j.Data[len(j.Data)-rest:])
	tail[rest] = 0x80
	total := 1
	if rest >= f.block-f.length {
		total = 2
	}
	end := tail[total*f.block-8:]
	clear(tail[rest+1 : total*f.block-8])
	binary.BigEndian.PutUint64(end, uint64(f.block+len(j.Data))*8)
	s.put(lane, &j.Key.inner)
	first := &tail[0]
	if body > 0 {
		first = &j.Data[0]
		s.held[lane] = unsafe.Pointer(first)
	}
	g.point(lane, first, &tail[0], body, body+total)
}

// rest leaves a lane without a job, at a place that can be read.
func (s *macScratch) rest(lane int) {
	s.job[lane] = none
	s.group.point(lane, &s.group.tails[0], nil, 0, 0)
}

// finish makes the outer block of a lane's job: its hash, with the padding.
func (s *macScratch) finish(lane int) {
	f := s.form
	b := &s.blocks[s.job[lane]]
	s.get(lane, (*[64]byte)(b[:]))
	b[f.size] = 0x80
	clear(b[f.size+1 : f.block-2])
	binary.BigEndian.PutUint16(b[f.block-2:], uint16(f.block+f.size)*8)
}

// release forgets the packets.
func (s *macScratch) release() { clear(s.held[:]) }

// place is where a lane's first word is, and how far apart its words are.
func (s *macScratch) place(lane int) (first unsafe.Pointer, step uintptr) {
	k := s.kernel
	return unsafe.Add(unsafe.Pointer(&s.group.state), lane*k.lane), k.word
}

// put sets the state of a lane.
func (s *macScratch) put(lane int, from *state) {
	p, step := s.place(lane)
	if s.form.word == 4 {
		for _, w := range from.words {
			*(*uint32)(p) = uint32(w)
			p = unsafe.Add(p, step)
		}
		return
	}
	for _, w := range from.words {
		*(*uint64)(p) = w
		p = unsafe.Add(p, step)
	}
}

// get is a lane's state as bytes.
func (s *macScratch) get(lane int, to *[64]byte) {
	p, step := s.place(lane)
	if s.form.word == 4 {
		for i := range 8 {
			binary.BigEndian.PutUint32(to[4*i:], *(*uint32)(p))
			p = unsafe.Add(p, step)
		}
		return
	}
	for i := range 8 {
		binary.BigEndian.PutUint64(to[8*i:], *(*uint64)(p))
		p = unsafe.Add(p, step)
	}
}
