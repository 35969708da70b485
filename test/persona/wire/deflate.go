package wire

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
)

// Deflate is one direction of RFC 1979, as sender or as receiver, by the standard library.
type Deflate struct {
	w    *flate.Writer
	out  bytes.Buffer
	past []byte
	next uint16
}

// ErrDeflateSequence says that a packet is missing before this one.
var ErrDeflateSequence = errors.New("deflate: the sequence number is not the next one")

// Pack makes a packet of data, which begins with its protocol, with all of the history. It
// reports false if that is not shorter: then the data is to be sent as it is, which the
// receiver counts and keeps.
func (d *Deflate) Pack(data []byte) ([]byte, bool) {
	if d.w == nil {
		w, err := flate.NewWriter(&d.out, flate.BestCompression)
		if err != nil {
			panic(err) // the level is a good one
		}
		d.w = w
	}
	d.out.Reset()
	if _, err := d.w.Write(data); err != nil {
		panic(err) // a buffer takes everything
	}
	if err := d.w.Flush(); err != nil {
		panic(err)
	}
	body := bytes.TrimSuffix(d.out.Bytes(), []byte("\x00\x00\xff\xff"))
	packet := append(U16(d.next), body...)
	d.next++
	return packet, len(packet) < len(data)-1
}

// Skip takes note of data that came as it is.
func (d *Deflate) Skip(data []byte) {
	d.next++
	d.keep(data)
}

func (d *Deflate) keep(data []byte) {
	d.past = append(d.past, data...)
	d.past = d.past[max(0, len(d.past)-1<<15):]
}

// Open returns the data of a packet, which begin with its protocol.
func (d *Deflate) Open(b []byte) ([]byte, error) {
	if len(b) < 2 {
		return nil, errors.New("deflate: no sequence number")
	}
	if binary.BigEndian.Uint16(b) != d.next {
		return nil, ErrDeflateSequence
	}
	d.next++
	whole := append(bytes.Clone(b[2:]), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...)
	data, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(whole), d.past))
	if err != nil {
		return nil, err
	}
	d.keep(data)
	return data, nil
}
