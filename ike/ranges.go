package ike

import "slices"

// ranges is a set of message ids, or of digests, kept as sorted ranges that
// do not touch.
type ranges []span

type span struct{ First, Last uint32 }

// maxSpans bounds the set to 64 KiB. That is enough for the exchanges of a phase 1
// that lasts a day and probes us every ten seconds. When there are more, the two
// nearest spans are merged, so that a replay is never accepted as new, but a
// message whose digest lies between them is dropped. That is not rare in the long
// run: with a third more exchanges than fit, one message in thirty is dropped.
const maxSpans = 8192

// has reports whether id is in the set.
func (r ranges) has(id uint32) bool {
	i := r.find(id)
	return i < len(r) && r[i].First <= id
}

// find returns the first span that ends at id or after it.
func (r ranges) find(id uint32) int {
	i, _ := slices.BinarySearchFunc(r, id, func(s span, id uint32) int {
		if s.Last < id {
			return -1
		}
		return 1
	})
	return i
}

// add puts id into the set.
func (r *ranges) add(id uint32) {
	i := r.find(id)
	list := *r
	if i < len(list) && list[i].First <= id {
		return
	}
	before := i > 0 && list[i-1].Last == id-1
	after := i < len(list) && list[i].First == id+1
	switch {
	case before && after:
		list[i-1].Last = list[i].Last
		list = slices.Delete(list, i, i+1)
	case before:
		list[i-1].Last = id
	case after:
		list[i].First = id
	default:
		list = slices.Insert(list, i, span{id, id})
	}
	if len(list) > maxSpans {
		list = list.merge()
	}
	*r = list
}

// merge joins the two spans with the smallest gap.
func (r ranges) merge() ranges {
	best := 1
	for i := 2; i < len(r); i++ {
		if r[i].First-r[i-1].Last < r[best].First-r[best-1].Last {
			best = i
		}
	}
	r[best-1].Last = r[best].Last
	return slices.Delete(r, best, best+1)
}
