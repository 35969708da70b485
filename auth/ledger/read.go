package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// The file is read by this code, not by bbolt, and page by page: bbolt maps a file to memory
// and trusts it, so that one damaged page may end the process or go round in circles for
// ever. Here it costs what is on it. The format is bbolt's version 2, in the byte order of
// the host.
const (
	pageHead    = 16 // id, flags, count, overflow
	elementLen  = 16
	bucketHead  = 16 // root page, sequence
	metaLen     = 64
	boltMagic   = 0xED0CDAED
	boltVersion = 2
	maxPage     = 64 << 10
	maxDepth    = 32
	maxOverflow = maxRecord / 512

	branchPage = 0x01
	leafPage   = 0x02
	bucketFlag = 0x01
)

var native = binary.NativeEndian

// bolt reads a file of bbolt's.
type bolt struct {
	file     io.ReaderAt
	size     int64
	pageSize int64
	seen     map[uint64]bool
	broken   []error
}

// readBolt calls each for everything in the buckets at the top. The errors say what could
// not be read.
func readBolt(file io.ReaderAt, size int64, each func(bucket string, key, value []byte)) []error {
	b := &bolt{file: file, size: size, seen: map[uint64]bool{}}
	root, err := b.root()
	if err != nil {
		return []error{err}
	}
	b.walk(root, 0, func(flags uint32, name, value []byte) {
		if flags&bucketFlag == 0 {
			return
		}
		at := string(name)
		b.bucket(value, func(_ uint32, k, v []byte) { each(at, k, v) })
	})
	return b.broken
}

// root finds the newer of the two metas that is whole.
func (b *bolt) root() (page uint64, err error) {
	var newest uint64
	found := false
	for size := int64(1024); size <= maxPage; size *= 2 { // the second is one page further on
		for _, at := range []int64{0, size} {
			m := make([]byte, pageHead+metaLen)
			if _, err := b.file.ReadAt(m, at); err != nil {
				continue
			}
			m = m[pageHead:]
			h := fnv.New64a()
			_, _ = h.Write(m[:metaLen-8])
			if native.Uint32(m) != boltMagic || native.Uint32(m[4:]) != boltVersion || int64(native.Uint32(m[8:])) != size || native.Uint64(m[metaLen-8:]) != h.Sum64() {
				continue
			}
			if tx := native.Uint64(m[48:]); !found || tx > newest {
				found, newest, page, b.pageSize = true, tx, native.Uint64(m[16:]), size
			}
		}
	}
	if !found {
		return 0, errors.New("it has no head")
	}
	return page, nil
}

// bucket reads a bucket, which is a page number, or a small page of its own.
func (b *bolt) bucket(value []byte, each func(flags uint32, k, v []byte)) {
	switch {
	case len(value) < bucketHead:
		b.fail(0, "a bucket is cut off")
	case native.Uint64(value) != 0:
		b.walk(native.Uint64(value), 0, each)
	case len(value) < bucketHead+pageHead:
		b.fail(0, "a bucket is cut off")
	default:
		b.leaf(0, value[bucketHead:], each)
	}
}

// walk reads the tree below a page.
func (b *bolt) walk(id uint64, depth int, each func(flags uint32, k, v []byte)) {
	if b.seen[id] || depth > maxDepth {
		b.fail(id, "is named twice")
		return
	}
	b.seen[id] = true
	p, err := b.page(id)
	if err != nil {
		b.fail(id, err.Error())
		return
	}
	switch native.Uint16(p[8:]) {
	case branchPage:
		for i := range int(native.Uint16(p[10:])) {
			at := pageHead + i*elementLen
			if at+elementLen > len(p) {
				b.fail(id, "is cut off")
				return
			}
			b.walk(native.Uint64(p[at+8:]), depth+1, each)
		}
	case leafPage:
		b.leaf(id, p, each)
	default:
		b.fail(id, "is of no known kind")
	}
}

// page reads a page with what it flows over into.
func (b *bolt) page(id uint64) ([]byte, error) {
	if id < 2 || id >= uint64(b.size/b.pageSize)+1 {
		return nil, errors.New("is behind the end of the file")
	}
	at := int64(id) * b.pageSize
	head := make([]byte, pageHead)
	if _, err := b.file.ReadAt(head, at); err != nil {
		return nil, err
	}
	more := int64(native.Uint32(head[12:]))
	if native.Uint64(head) != id || more > maxOverflow || at+(more+1)*b.pageSize > b.size {
		return nil, errors.New("has a head that cannot be")
	}
	p := make([]byte, (more+1)*b.pageSize)
	_, err := b.file.ReadAt(p, at)
	return p, err
}

// leaf reads the elements of a page.
func (b *bolt) leaf(id uint64, p []byte, each func(flags uint32, k, v []byte)) {
	for i := range int(native.Uint16(p[10:])) {
		at := pageHead + i*elementLen
		if at+elementLen > len(p) {
			b.fail(id, "is cut off")
			return
		}
		flags, pos := native.Uint32(p[at:]), uint64(native.Uint32(p[at+4:]))
		keyLen, valueLen := uint64(native.Uint32(p[at+8:])), uint64(native.Uint32(p[at+12:]))
		from := uint64(at) + pos
		if from+keyLen+valueLen > uint64(len(p)) || pos < elementLen {
			b.fail(id, "has an element that cannot be")
			continue
		}
		each(flags, p[from:from+keyLen], p[from+keyLen:from+keyLen+valueLen])
	}
}

// maxBroken bounds what is said of a damaged file.
const maxBroken = 8

func (b *bolt) fail(id uint64, why string) {
	if len(b.broken) < maxBroken {
		b.broken = append(b.broken, fmt.Errorf("page %d %s", id, why))
	}
}
