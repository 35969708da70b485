package halfopen

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/adit-vpn/adit/ike"
)

// offers are first messages of Main Mode, without their initiator cookies, that led to a
// user. Clients of one kind send the same bytes, whoever uses them: only the cookie in a
// first message is random. A known first message needs no embryo: our cookie contains its
// index and a keyed hash over it. So a third message brings back everything that message
// 1 said, and no flood can displace that. It corresponds to SYN cookies in TCP (RFC 4987,
// section 3.6).
//
// What is known is replaced as a whole, so readers need no lock.
type offers struct {
	table atomic.Pointer[offerTable]

	learning sync.Mutex
	uses     [maxOffers]int // the number of users that each led to; only learn uses it, under its lock
}

type offerTable struct {
	list [maxOffers]*offer // in the order of index, which begins with 1
	hash map[uint64]*offer
}

type offer struct {
	index   int    // begins with 1
	message []byte // with a zero initiator cookie
	sum     [sumLen]byte
	answer  atomic.Pointer[answer] // the last answer; nil: there is none yet
}

// answer is message 2 to a known message 1. While the policy stays the same, answers
// differ only in their cookies.
type answer struct {
	policy *ike.Policy
	reply  []byte
}

const (
	offerBits = 6
	maxOffers = 1<<offerBits - 1
	// MaxLearnt bounds the length of a first message that is remembered, in bytes.
	MaxLearnt = 4 << 10
)

// offerSeed makes hashes of messages that their senders cannot predict.
var offerSeed = maphash.MakeSeed()

func offerHash(msg []byte) uint64 { return maphash.Bytes(offerSeed, msg[8:]) }

// find returns the known first message that equals msg; nil: there is none.
func (o *offers) find(msg []byte) *offer {
	t := o.table.Load()
	if t == nil || len(msg) < 8 {
		return nil
	}
	if known := t.hash[offerHash(msg)]; known != nil && bytes.Equal(known.message[8:], msg[8:]) {
		return known
	}
	return nil
}

// at returns the known first message with this index; nil: there is none.
func (o *offers) at(index int) *offer {
	t := o.table.Load()
	if t == nil || index < 1 || index > maxOffers {
		return nil
	}
	return t.list[index-1]
}

// from returns the message as an initiator with this cookie sent it.
func (o *offer) from(initiator [8]byte) []byte {
	msg := append([]byte(nil), o.message...)
	copy(msg, initiator[:])
	return msg
}

// learn remembers a first message, in place of the one that led to the fewest users.
func (o *offers) learn(msg []byte) {
	if h, err := ike.Peek(msg); err != nil || h.Exchange != ike.ExchangeMain || len(msg) > MaxLearnt {
		return
	}
	o.learning.Lock()
	defer o.learning.Unlock()
	if known := o.find(msg); known != nil {
		o.uses[known.index-1]++
		return
	}
	next := &offerTable{hash: map[uint64]*offer{}}
	if t := o.table.Load(); t != nil {
		next.list = t.list
	}
	at := slices.Index(o.uses[:], slices.Min(o.uses[:]))
	msg = append([]byte(nil), msg...)
	clear(msg[:8])
	next.list[at], o.uses[at] = &offer{index: at + 1, message: msg, sum: offerSum(msg)}, 1
	for _, known := range next.list {
		if known != nil {
			next.hash[offerHash(known.message)] = known
		}
	}
	o.table.Store(next)
}
