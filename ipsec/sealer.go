package ipsec

import (
	"encoding/binary"
	"io"

	"github.com/adit-vpn/adit/ipsec/internal/lanes"
)

const (
	nextHeaderUDP   = 17
	nextHeaderDummy = 59 // RFC 4303, section 2.6
)

// Sealer seals batches of packets for one worker. It is not safe for
// concurrent use.
type Sealer struct {
	ivs    ivSource
	engine *lanes.Engine
	nonce  [12]byte
	cbc    []lanes.Packet
	macs   []lanes.MAC
}

// NewSealer returns a Sealer whose IVs come from rand, which must be
// unpredictable (RFC 3602, section 3). It reads from it now and then.
func NewSealer(rand io.Reader) *Sealer { return newSealer(rand, lanes.Best()) }

func newSealer(rand io.Reader, t lanes.Tier) *Sealer {
	return &Sealer{ivs: ivSource{rand: rand}, engine: lanes.New(t)}
}

// Seal seals every packet of the batch in place. The caller holds the lock of
// every SA in it until the packets are written. Elements whose Drop is not
// DropNone afterwards were not sealed; their buffers are unspecified.
func (s *Sealer) Seal(batch []Out) {
	for i := 0; i < len(batch); {
		n := 1
		for i+n < len(batch) && batch[i+n].SA == batch[i].SA {
			n++
		}
		number(batch[i].SA, batch[i:i+n])
		i += n
	}
	s.drawIVs(batch)
	s.seal(batch)
}

// number gives each packet of a run its header, padding and trailer, and moves
// Off and End to the packet that will be sent.
func number(sa *Outbound, run []Out) {
	var packets, bytes int
	for i := range run {
		p := &run[i]
		p.Drop = sa.number(p)
		if p.Drop == DropNone {
			packets++
			bytes += p.End - p.Off
			sa.frame(p)
		}
	}
	sa.add(packets, bytes)
	sa.sequence.Store(uint32(sa.seq))
}

// number takes the next sequence number for p, if it can be sealed at all.
func (o *Outbound) number(p *Out) Drop {
	switch {
	case o.dead:
		return DropRetired
	case p.Off < o.suite.HeadRoom() || len(p.Buf)-p.End < o.suite.TailRoom():
		return DropRoom
	case o.seq == maxSequence:
		// RFC 4303, section 3.3.3: "the sender MUST NOT send a packet on an SA
		// if doing so would cause the sequence number to cycle."
		return DropExhausted
	}
	o.seq++
	return DropNone
}

func (o *Outbound) frame(p *Out) {
	pad := o.suite.padLen(p.End - p.Off)
	tail := p.Buf[p.End : p.End+pad+trailerLen]
	for i := range pad {
		tail[i] = byte(i + 1) // RFC 4303, section 2.4
	}
	tail[pad], tail[pad+1] = byte(pad), o.protocol

	p.Off -= o.suite.HeadRoom()
	p.End += len(tail) + o.icvLen()
	binary.BigEndian.PutUint32(p.Buf[p.Off:], o.spi)
	binary.BigEndian.PutUint32(p.Buf[p.Off+4:], uint32(o.seq))
	if o.suite.Cipher == AESGCM16 {
		// RFC 4106, section 3.1: the IV must never repeat under one key; a
		// counter does not.
		binary.BigEndian.PutUint64(p.Buf[p.Off+headerLen:], o.seq)
	}
}

// drawIVs fills the IVs of CBC packets.
func (s *Sealer) drawIVs(batch []Out) {
	need := 0
	for i := range batch {
		if p := &batch[i]; p.Drop == DropNone && p.SA.keys.aead == nil {
			need += p.SA.suite.ivLen()
		}
	}
	if need == 0 {
		return
	}
	ivs, err := s.ivs.draw(need)
	for i := range batch {
		p := &batch[i]
		if p.Drop != DropNone || p.SA.keys.aead != nil {
			continue
		}
		if err != nil {
			p.Drop = DropRandom
			continue
		}
		ivs = ivs[copy(p.Buf[p.Off+headerLen:p.Off+p.SA.suite.HeadRoom()], ivs):]
	}
}

// seal encrypts the batch and puts the ICVs behind the packets: those with
// AES-CBC in lanes, all at once.
func (s *Sealer) seal(batch []Out) {
	s.cbc, s.macs = room(s.cbc, len(batch)), room(s.macs, len(batch))
	for i := range batch {
		p := &batch[i]
		if p.Drop != DropNone {
			continue
		}
		k, at := &p.SA.keys, p.End-p.SA.icvLen()
		sealed, icv := p.Buf[p.Off:at], p.Buf[at:p.End]
		switch {
		case k.aes != nil:
			j := add(&s.cbc)
			j.Cipher, j.MAC, j.Data, j.Sum = k.aes, k.mac, sealed, icv
		case k.des != nil:
			encryptDES(k.des, sealed[headerLen:])
			j := add(&s.macs)
			j.Key, j.Data, j.Sum = k.mac, sealed, icv
		default:
			s.sealGCM(p)
		}
	}
	s.engine.Seal(s.cbc)
	s.engine.Sum(s.macs)
	clear(s.cbc) // keep no packet and no key alive
	clear(s.macs)
}

func (s *Sealer) sealGCM(p *Out) {
	k, head := &p.SA.keys, p.SA.suite.HeadRoom()
	copy(s.nonce[:], k.salt[:])
	copy(s.nonce[saltLen:], p.Buf[p.Off+headerLen:p.Off+head])
	body := p.Buf[p.Off+head : p.End-gcmICVLen]
	k.aead.Seal(body[:0], s.nonce[:], body, p.Buf[p.Off:p.Off+headerLen])
}

// room returns an empty list of jobs that has room for n.
func room[J any](jobs []J, n int) []J {
	if cap(jobs) < n {
		return make([]J, 0, n)
	}
	return jobs[:0]
}

// add makes a list that has room one job longer. Writing a job in place, field by field,
// costs less than appending it: the copy would read it in other pieces than it was
// written in, which defeats store forwarding.
func add[J any](jobs *[]J) *J {
	n := len(*jobs)
	*jobs = (*jobs)[:n+1]
	return &(*jobs)[n]
}
