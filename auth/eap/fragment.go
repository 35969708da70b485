package eap

import (
	"encoding/binary"
	"errors"
)

// Flags of EAP-TLS (RFC 5216, section 3.1).
const (
	flagLength = 0x80
	flagMore   = 0x40
	flagStart  = 0x20
)

// maxFlight bounds what a peer sends before it gets an answer: chains of certificates are some
// kilobytes long.
const maxFlight = 64 << 10

// Errors of fragments.
var (
	errFragment = errors.New("a fragment out of turn")
	errFlight   = errors.New("more than 64 KiB without an answer")
)

// fragments cuts what we send into the data of Requests, and joins what the peer sends (RFC
// 5216, section 2.1.5). It is plain state.
type fragments struct {
	room int    // of a Request's data, bytes
	out  []byte // what is left to send
	in   []byte // of what is not complete yet
}

// send begins to send a flight, and returns the data of its first Request.
func (f *fragments) send(flight []byte) []byte {
	f.out = flight
	if 1+len(flight) <= f.room {
		return f.cut(0, nil)
	}
	return f.cut(flagLength, binary.BigEndian.AppendUint32(nil, uint32(len(flight))))
}

// cut cuts the next fragment off.
func (f *fragments) cut(flags byte, head []byte) []byte {
	n := min(len(f.out), max(1, f.room-1-len(head)))
	data := append(append([]byte{flags}, head...), f.out[:n]...)
	if f.out = f.out[n:]; len(f.out) > 0 {
		data[0] |= flagMore
	}
	return data
}

// take takes a Response's data. It returns the data of the next Request, or, with nil, the
// peer's whole flight.
func (f *fragments) take(data []byte) (next, flight []byte, err error) {
	if len(data) == 0 || data[0]&flagStart != 0 {
		return nil, nil, errFragment
	}
	flags, data := data[0], data[1:]
	if flags&flagLength != 0 {
		if len(data) < 4 {
			return nil, nil, errFragment
		}
		if binary.BigEndian.Uint32(data) > maxFlight {
			return nil, nil, errFlight
		}
		data = data[4:]
	}
	if len(f.out) > 0 { // only an acknowledgement is in turn
		if flags != 0 || len(data) > 0 {
			return nil, nil, errFragment
		}
		return f.cut(0, nil), nil, nil
	}
	if len(f.in)+len(data) > maxFlight {
		return nil, nil, errFlight
	}
	if flags&flagMore != 0 && len(data) == 0 {
		return nil, nil, errFragment // it could go on for ever
	}
	f.in = append(f.in, data...)
	if flags&flagMore != 0 {
		return []byte{0}, nil, nil
	}
	flight, f.in = f.in, nil
	return nil, flight, nil
}
