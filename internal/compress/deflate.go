package compress

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/flate"
)

// Windows of Deflate, as binary logarithms (RFC 1979, section 3).
const (
	MinWindow = 8
	MaxWindow = 15
)

// A packet ends with an empty stored block, "the last four bytes of the compressed format
// must be 0x00 0x00 0xFF 0xFF. These bytes MUST be removed before transmission" (RFC 1979,
// section 2.1).
const flushed = "\x00\x00\xff\xff"

// deflate compresses src into dst, with nothing but src for a history, and returns the
// length, 0 if it does not fit.
func (e *Encoder) deflate(dst, src []byte) int {
	e.out = fixed{b: dst}
	if flate.StatelessDeflate(&e.out, src, false, nil) != nil {
		return 0
	}
	n := e.out.n - len(flushed)
	if n < 0 || string(dst[n:e.out.n]) != flushed {
		return 0
	}
	return n
}

// fixed is a buffer that does not grow.
type fixed struct {
	b []byte
	n int
}

func (f *fixed) Write(b []byte) (int, error) {
	if len(b) > len(f.b)-f.n {
		return 0, io.ErrShortBuffer
	}
	f.n += copy(f.b[f.n:], b)
	return len(b), nil
}

// inflater opens packets of whatever history.
type inflater struct {
	reader io.ReadCloser
	reset  flate.Resetter
	src    bytes.Reader
	whole  []byte // a packet, and what makes a whole stream of it
}

// ending replaces what the sender has removed, and ends the stream.
const ending = flushed + "\x01\x00\x00\xff\xff"

func newInflater() inflater {
	reader := flate.NewReader(bytes.NewReader(nil))
	reset, _ := reader.(flate.Resetter) // documented
	return inflater{reader: reader, reset: reset, whole: make([]byte, 0, 4096)}
}

// inflate opens a packet into dst, which has room for one byte more than it may have.
func (f *inflater) inflate(dst, src, history []byte) (int, Fault) {
	f.whole = append(append(f.whole[:0], src...), ending...)
	f.src.Reset(f.whole)
	if f.reset.Reset(&f.src, history) != nil {
		return 0, Damaged
	}
	n := 0
	for {
		if n == len(dst) {
			return 0, TooLong
		}
		m, err := f.reader.Read(dst[n:])
		n += m
		switch {
		case err == io.EOF && f.src.Len() == 0 && n < len(dst):
			return n, Fine
		case err == io.EOF && n == len(dst):
			return 0, TooLong
		case err != nil:
			return 0, Damaged // or the sender has ended the stream itself
		}
	}
}

// window is the history of a Deflate receiver: the last bytes of it, all of them or at
// least 2^MaxWindow.
type window struct {
	b []byte
	n int
}

const (
	windowLen  = 1 << MaxWindow
	windowRoom = windowLen + windowLen/2
)

func (w *window) bytes() []byte { return w.b[max(0, w.n-windowLen):w.n] }

func (w *window) add(b []byte) {
	if w.b == nil {
		w.b = make([]byte, windowRoom)
	}
	if len(b) > windowRoom-windowLen {
		b = b[len(b)-(windowRoom-windowLen):]
	}
	if w.n+len(b) > len(w.b) {
		w.n = copy(w.b, w.bytes())
	}
	w.n += copy(w.b[w.n:], b)
}

func (w *window) clear() { w.n = 0 }
