package ipsec

import (
	"crypto/subtle"
	"encoding/binary"

	"github.com/adit-vpn/adit/ipsec/internal/lanes"
)

// Opener opens batches of packets for one worker. It is not safe for
// concurrent use.
type Opener struct {
	engine *lanes.Engine
	nonce  [12]byte
	cbc    []lanes.CBC
	macs   []lanes.MAC
	sums   []byte // what the ICVs should be, maxICVLen bytes each
}

// NewOpener returns an Opener.
func NewOpener() *Opener { return newOpener(lanes.Best()) }

func newOpener(t lanes.Tier) *Opener { return &Opener{engine: lanes.New(t)} }

// Open verifies and decrypts every packet of the batch in place. The caller
// found the SA by the packet's SPI. Elements whose Drop is not DropNone
// afterwards were refused; their buffers are unspecified.
//
// RFC 4303, section 3.4.3: the window is asked before the ICV is computed, and
// moved only after it verified.
func (o *Opener) Open(batch []In) {
	eachRun(batch, admit)
	o.verify(batch)
	o.decrypt(batch)
	eachRun(batch, commit)
	for i := range batch {
		if p := &batch[i]; p.Drop == DropNone {
			strip(p)
		}
	}
}

// eachRun calls f for each run of packets of one SA.
func eachRun(batch []In, f func(*Inbound, []In)) {
	for i := 0; i < len(batch); {
		n := 1
		for i+n < len(batch) && batch[i+n].SA == batch[i].SA {
			n++
		}
		f(batch[i].SA, batch[i:i+n])
		i += n
	}
}

// admit refuses what needs no cryptography to be refused. Every packet that it
// admits is one user of the keys, until commit.
func admit(sa *Inbound, run []In) {
	sa.mu.Lock()
	defer sa.mu.Unlock()
	for i := range run {
		p := &run[i]
		p.Newest, p.icv = false, 0
		p.Drop = sa.admit(p)
	}
}

func (in *Inbound) admit(p *In) Drop {
	if in.dead {
		return DropRetired
	}
	icv, ok := in.icvLen(p.End - p.Off)
	if !ok {
		return DropShort
	}
	seq := p.sequence()
	if seq == 0 {
		return DropSequence // RFC 4303, section 3.3.3: the first packet has 1
	}
	if !in.window.fresh(seq) {
		return DropReplay
	}
	p.icv = icv
	in.users++
	return DropNone
}

func (p *In) sequence() uint32 { return binary.BigEndian.Uint32(p.Buf[p.Off+4:]) }

// verify compares the ICVs, all hashes at once. Packets of AEAD ciphers have no separate
// ICV: decrypt verifies them.
func (o *Opener) verify(batch []In) {
	if n := len(batch) * maxICVLen; len(o.sums) < n {
		o.sums = make([]byte, n)
	}
	o.macs = room(o.macs, len(batch))
	sums := o.sums
	for i := range batch {
		p := &batch[i]
		if p.Drop != DropNone || p.SA.keys.mac == nil {
			continue
		}
		j := add(&o.macs)
		j.Key, j.Data, j.Sum = p.SA.keys.mac, p.Buf[p.Off:p.End-p.icv], sums[:p.icv]
		sums = sums[maxICVLen:]
	}
	o.engine.Sum(o.macs)
	next := o.macs
	for i := range batch {
		p := &batch[i]
		if p.Drop != DropNone || p.SA.keys.mac == nil {
			continue
		}
		if subtle.ConstantTimeCompare(next[0].Sum, p.Buf[p.End-p.icv:p.End]) != 1 {
			p.Drop = DropICV
		}
		next = next[1:]
	}
	clear(o.macs) // keep no packet and no key alive
}

// decrypt decrypts what is authentic: AES-CBC in lanes, all packets at once.
func (o *Opener) decrypt(batch []In) {
	o.cbc = room(o.cbc, len(batch))
	for i := range batch {
		p := &batch[i]
		if p.Drop != DropNone {
			continue
		}
		k, sealed := &p.SA.keys, p.Buf[p.Off+headerLen:p.End-p.icv]
		switch {
		case k.aes != nil:
			j := add(&o.cbc)
			j.Key, j.Data = k.aes, sealed
		case k.des != nil:
			decryptDES(k.des, sealed)
		default:
			o.openGCM(p)
		}
	}
	o.engine.DecryptCBC(o.cbc)
	clear(o.cbc)
}

func (o *Opener) openGCM(p *In) {
	k, head := &p.SA.keys, p.SA.suite.HeadRoom()
	copy(o.nonce[:], k.salt[:])
	copy(o.nonce[saltLen:], p.Buf[p.Off+headerLen:p.Off+head])
	sealed := p.Buf[p.Off+head : p.End]
	if _, err := k.aead.Open(sealed[:0], o.nonce[:], sealed, p.Buf[p.Off:p.Off+headerLen]); err != nil {
		p.Drop = DropICV
	}
}

// commit moves the window. A packet that came twice in a batch was admitted twice; the
// second is dropped here.
func commit(sa *Inbound, run []In) {
	sa.mu.Lock()
	defer sa.mu.Unlock()
	var packets, bytes int
	for i := range run {
		p := &run[i]
		if p.icv == 0 {
			continue // never admitted
		}
		sa.users--
		if p.Drop == DropNone {
			p.Drop = sa.commit(p)
		}
		if p.Drop == DropNone {
			packets++
			bytes += p.End - p.Off - sa.suite.HeadRoom() - p.icv
		}
	}
	sa.add(packets, bytes)
	sa.sequence.Store(sa.window.top)
	sa.zero()
}

func (in *Inbound) commit(p *In) Drop {
	if in.dead {
		return DropRetired
	}
	if p.icv < in.suite.icvLen() && in.form.Load() == formWhole {
		return DropShort // it was admitted before a packet of the same batch said so
	}
	fresh, newest := in.window.accept(p.sequence())
	if !fresh {
		return DropReplay
	}
	p.Newest = newest
	in.learn(p.icv)
	return DropNone
}

// strip takes ESP's own bytes off an authentic packet. TFC padding (RFC 4303,
// section 2.7) stays: it lies behind the end that the inner header gives.
func strip(p *In) {
	p.Off += p.SA.suite.HeadRoom()
	p.End -= p.icv
	pad, next := int(p.Buf[p.End-2]), p.Buf[p.End-1]
	switch {
	case next == nextHeaderDummy:
		p.Drop = DropDummy
	case p.End-trailerLen-pad < p.Off:
		p.Drop = DropPadding
	case next != p.SA.protocol:
		p.Drop = DropNextHeader
	default:
		p.End -= trailerLen + pad
	}
}
