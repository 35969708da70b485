//go:build amd64 && !purego

package lanes

import (
	"encoding/binary"
	"unsafe"
)

// group is what a hash kernel works on. Its layout up to keys is known to the
// kernels. Pointers are numbers, since kernels change them: what is pointed to
// is either held elsewhere or in the group, which does not move.
type group struct {
	cursor [16]uintptr  // where each lane's next block is
	after  [16]uintptr  // where it goes on when it has done as many as body
	state  [16]uintptr  // where its state is, which the kernel reads and writes
	body   [16]uint32   // blocks before it goes on elsewhere; not if this is zero
	total  [16]uint32   // blocks that it has to do
	rows   [64]uint64   // the kernels' own: states
	words  [64]uint64   // the kernels' own: blocks
	ring   [32][64]byte // the kernels' own: words of this block of the messages and the next
	ends   [32][64]byte // the kernels' own: words of the last blocks of messages that are sealed
	icvs   [16][16]byte // of packets that are sealed
	keys   [15][64]byte // the kernels' own: round keys, four times over

	tails  [2048]byte       // the last block or two of every lane's message
	blocks [chunk][128]byte // each job's inner state, and then its outer block
	sums   [16]state        // each lane's outer state
	spare  [128]byte        // what lanes read and write that rest
}

// newGroup returns a group that is not on a stack, which could move.
//
//go:noinline
func newGroup() *group { return new(group) }

func (g *group) pointer() *byte { return (*byte)(unsafe.Pointer(g)) }

// form is the shape of a hash (FIPS 180-4, figure 1).
type form struct {
	shift   int       // a block has 1<<shift bytes
	length  int       // bytes that are kept for the length of the message
	size    int       // bytes of the result
	padding [128]byte // an outer block, but for the inner hash
}

var forms = [hashes]form{
	SHA1:   newForm(6, 8, 20),
	SHA256: newForm(6, 8, 32),
	SHA384: newForm(7, 16, 48),
	SHA512: newForm(7, 16, 64),
}

func newForm(shift, length, size int) form {
	f := form{shift: shift, length: length, size: size}
	block := 1 << shift
	f.padding[size] = 0x80
	binary.BigEndian.PutUint16(f.padding[block-2:], uint16(block+size)*8)
	return f
}

// macScratch is what an Engine needs to compute HMACs with kernels.
type macScratch struct {
	queue
	plans [hashes]plans
	group *group
	job   [16]uint8          // what each lane does; those that work are the first
	held  [16]unsafe.Pointer // its packet
}

// start gives a lane job i: the blocks of its message as they are, and a copy of
// the rest with the padding of FIPS 180-4, section 5.1.
func (s *macScratch) start(f *form, lane int, i uint8, j *MAC) {
	g, block, data := s.group, 1<<f.shift, j.Data
	*(*state)(g.blocks[i][:]) = j.Key.inner
	g.state[lane] = uintptr(unsafe.Pointer(&g.blocks[i]))
	s.job[lane] = i

	body, rest := len(data)>>f.shift, len(data)&(block-1)
	tail := g.tails[2*block*lane:][:2*block]
	end := block
	if rest >= block-f.length {
		end = 2 * block
	}
	clear(tail[rest:end])
	copy(tail, data[len(data)-rest:])
	tail[rest] = 0x80
	binary.BigEndian.PutUint64(tail[end-8:end], uint64(block+len(data))*8)

	g.after[lane] = uintptr(unsafe.Pointer(&tail[0]))
	g.body[lane] = uint32(body)
	g.total[lane] = uint32(body + end>>f.shift)
	if body == 0 {
		g.cursor[lane] = g.after[lane]
		return
	}
	s.held[lane] = unsafe.Pointer(&data[0])
	g.cursor[lane] = uintptr(s.held[lane])
}

// rest leaves a lane without a job, at a place that can be read and written.
func (s *macScratch) rest(lane int) {
	g := s.group
	g.cursor[lane] = uintptr(unsafe.Pointer(&g.spare))
	g.state[lane] = g.cursor[lane]
	g.body[lane], g.total[lane] = 0, 0
}

// move lets lane to go on with what lane from does, which rests then.
func (s *macScratch) move(from, to int) {
	g := s.group
	g.cursor[to], g.after[to], g.state[to] = g.cursor[from], g.after[from], g.state[from]
	g.body[to], g.total[to] = g.body[from], g.total[from]
	s.job[to] = s.job[from]
	s.rest(from)
}

// finish makes the outer block of a lane's job: what the lane left there is the
// inner hash, and here is the padding.
func (s *macScratch) finish(f *form, lane int) {
	copy(s.group.blocks[s.job[lane]][f.size:1<<f.shift], f.padding[f.size:])
}

// startOuter gives a lane a job's outer block.
func (s *macScratch) startOuter(lane int, i uint8, k *MACKey) {
	g := s.group
	g.sums[lane] = k.outer
	g.cursor[lane] = uintptr(unsafe.Pointer(&g.blocks[i]))
	g.state[lane] = uintptr(unsafe.Pointer(&g.sums[lane]))
	g.body[lane], g.total[lane] = 0, 1
}

// release lets go of the packets, and overwrites what is left of keys: states
// are overwritten with sums, but not where kernels keep them meanwhile.
func (s *macScratch) release() {
	clear(s.held[:])
	clear(s.group.rows[:])
}

// least is how many blocks the first of the lanes that will be done has left.
func (g *group) least(lanes int) int {
	n := g.total[0]
	for _, t := range g.total[1:lanes] {
		n = min(n, t)
	}
	return int(n)
}

// kth is how many blocks are left until fewer than k of the lanes are busy.
func (g *group) kth(lanes, k int) int {
	var sorted [16]uint32
	for i, t := range g.total[:lanes] {
		for ; i > 0 && sorted[i-1] < t; i-- {
			sorted[i] = sorted[i-1]
		}
		sorted[i] = t
	}
	return int(sorted[min(lanes, k)-1])
}
