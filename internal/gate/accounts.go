package gate

import (
	"container/list"
	"math"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/crowd"
)

const (
	// accountLife is the time in which an account's use halves. It is long compared with
	// the time in which a flood from thousands of addresses returns to the same address,
	// and short compared with the patience of people who share the address of an attacker
	// that has gone.
	accountLife = time.Minute
	// maxAccounts bounds the table, some 3 MB; the account used longest ago is removed.
	maxAccounts = 1 << 14
)

// accounts record how much processor time prefixes have used lately, in each lane. The
// unit of account grows over time while the accounts fade, so an account changes only
// when it is charged.
type accounts struct {
	table map[accountKey]*list.Element // of *account
	order list.List                    // most recently used first
	epoch time.Time
}

type accountKey struct {
	lane   Lane
	prefix netip.Prefix
}

type account struct {
	key   accountKey
	spent float64 // seconds, in the epoch's unit
}

// of returns the accounts of an address, widest first.
func (t *accounts) of(l Lane, a netip.Addr) (list [3]*account) {
	for i, p := range crowd.OriginOf(a) {
		list[i] = t.get(accountKey{l, p})
	}
	return list
}

func (t *accounts) get(key accountKey) *account {
	if t.table == nil {
		t.table = map[accountKey]*list.Element{}
	}
	if e, ok := t.table[key]; ok {
		t.order.MoveToFront(e)
		return e.Value.(*account)
	}
	if len(t.table) >= maxAccounts {
		last := t.order.Back()
		delete(t.table, last.Value.(*account).key)
		t.order.Remove(last)
	}
	a := &account{key: key}
	t.table[key] = t.order.PushFront(a)
	return a
}

// unit is how much a second used now counts in the accounts.
func (t *accounts) unit(now time.Time) float64 {
	if t.epoch.IsZero() || now.Before(t.epoch) {
		t.epoch = now
	}
	const most = 64 // halvings, after which nothing is left of an old account
	n := float64(now.Sub(t.epoch)) / float64(accountLife)
	if n < most {
		return math.Exp2(n)
	}
	for e := t.order.Front(); e != nil; e = e.Next() {
		e.Value.(*account).spent *= math.Exp2(-n)
	}
	t.epoch = now
	return 1
}

// charge adds seconds to the accounts of an address, once to each.
func (t *accounts) charge(now time.Time, list [3]*account, seconds float64) {
	amount := seconds * t.unit(now)
	for i, a := range list {
		if i == 0 || a != list[i-1] {
			a.spent = max(0, a.spent+amount)
		}
	}
}
