package ipsec

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/adit-vpn/adit/ipsec/internal/lanes"
)

// exchange is a peer's half of an SA and ours, that several workers share.
type exchange struct {
	out           *Outbound
	in            *Inbound
	opened        []atomic.Bool // by number of the payload
	sealed, ended atomic.Int64  // packets; ended were refused because the SA is retired
}

// parcel is a sealed packet.
type parcel struct {
	*exchange
	b []byte
}

// Workers on every tier seal batches for the same SAs and open each other's, each
// batch with packets of many suites, while the SAs are retired one after
// another: every packet is opened once, as it was, or refused because its SA is
// retired. Keys are zeroed beside lanes that work.
func TestSharedSAsInMixedBatches(t *testing.T) {
	const rounds, batchLen, each = 30, 24, 3
	var all []*exchange
	for range each {
		for _, s := range suites {
			x := &exchange{opened: make([]atomic.Bool, 4*rounds*batchLen)}
			x.out, x.in = newPair(t, s, 1<<16)
			all = append(all, x)
		}
	}
	way := make(chan []parcel, 16)
	var sealers, openers sync.WaitGroup
	for w := range 2 * (int(lanes.Best()) + 1) {
		tier := lanes.Tier(w / 2)
		sealers.Go(func() {
			sealer := newSealer(rand.Reader, tier)
			for round := range rounds {
				if x := all[(round*7+w)%len(all)]; round%5 == 4 && w%2 == 0 {
					x.out.Retire()
				}
				way <- sealShared(sealer, all, round+w, batchLen)
			}
		})
		openers.Go(func() {
			opener := newOpener(tier)
			for parcels := range way {
				// Some end while they are opened, by whoever is here.
				if x := parcels[0].exchange; len(parcels[0].b)%17 == 0 {
					openers.Go(x.in.Retire)
				}
				openShared(t, opener, parcels)
			}
		})
	}
	sealers.Wait()
	close(way)
	openers.Wait()
	var sealed, opened, ended int64
	for _, x := range all {
		n := int64(0)
		for i := range x.opened {
			if x.opened[i].Load() {
				n++
			}
		}
		if n+x.ended.Load() != x.sealed.Load() {
			t.Errorf("%v: %d packets were sealed, %d opened and %d too late", x.in.Suite(), x.sealed.Load(), n, x.ended.Load())
		}
		if got := int64(x.in.Packets()); got != n {
			t.Errorf("%v: %d packets were opened, and %d counted", x.in.Suite(), n, got)
		}
		sealed, opened, ended = sealed+x.sealed.Load(), opened+n, ended+x.ended.Load()
	}
	t.Logf("of %d packets %d were opened and %d too late", sealed, opened, ended)
	if opened == 0 || ended == 0 {
		t.Error("both should happen")
	}
}

// sealShared seals a batch in which SAs follow each other in an order that
// every worker keeps to, so that none waits for another in a circle.
func sealShared(sealer *Sealer, all []*exchange, from, n int) (parcels []parcel) {
	var batch []Out
	var owners []*exchange
	for i, x := range all {
		if (i+from)%3 != 0 || len(batch) >= n {
			continue
		}
		x.out.Lock()
		defer x.out.Unlock()
		for range 1 + (i+from)%4 {
			number := x.sealed.Add(1) - 1
			batch = append(batch, newOut(x.out, sharedPayload(int(number))))
			owners = append(owners, x)
		}
	}
	sealer.Seal(batch)
	for i, p := range batch {
		if p.Drop != DropNone { // it keeps its number, which nobody will open
			owners[i].ended.Add(1)
			continue
		}
		parcels = append(parcels, parcel{owners[i], p.Buf[p.Off:p.End]})
	}
	return parcels
}

// sharedPayload has a number, and a length and contents that follow from it.
func sharedPayload(number int) []byte {
	b := bytes.Repeat([]byte{byte(number)}, 8+number*37%1400)
	binary.BigEndian.PutUint32(b, uint32(number))
	return b
}

func openShared(t *testing.T, opener *Opener, parcels []parcel) {
	batch := make([]In, len(parcels))
	for i, p := range parcels {
		batch[i] = In{SA: p.in, Buf: p.b, End: len(p.b)}
	}
	opener.Open(batch)
	for i, p := range batch {
		x := parcels[i].exchange
		if p.Drop == DropRetired {
			x.ended.Add(1)
			continue
		}
		if p.Drop != DropNone {
			t.Errorf("%v: %v", p.SA.Suite(), p.Drop)
			continue
		}
		got := p.Buf[p.Off:p.End]
		number := int(binary.BigEndian.Uint32(got))
		if number >= len(x.opened) || !bytes.Equal(got, sharedPayload(number)) {
			t.Errorf("%v: opened to %x", p.SA.Suite(), got[:8])
		} else if x.opened[number].Swap(true) {
			t.Errorf("%v: packet %d was opened twice", p.SA.Suite(), number)
		}
	}
}
