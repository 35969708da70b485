package hostnet

import (
	"bytes"
	"cmp"
	"slices"
	"sort"

	"github.com/google/nftables"
)

// set is a set of nftables, or a map. It is read when a rule first asks for it,
// and sorted: some have tens of thousands of addresses.
type set struct {
	*nftables.Set
	conn *nftables.Conn

	isRead   bool
	err      error
	elements []nftables.SetElement // by key, an interval's end before another's beginning
	other    *nftables.SetElement  // *, which stands for whatever is not in it
}

// readElements reads what is in the set, once.
func (s *set) readElements() error {
	if s.isRead {
		return s.err
	}
	s.isRead = true
	var list []nftables.SetElement
	list, s.err = s.conn.GetSetElements(s.Set)
	for i := range list {
		if len(list[i].Key) == 0 {
			s.other = &list[i]
			continue
		}
		s.elements = append(s.elements, list[i])
	}
	slices.SortFunc(s.elements, func(a, b nftables.SetElement) int {
		return cmp.Or(bytes.Compare(a.Key, b.Key), order(b.IntervalEnd)-order(a.IntervalEnd))
	})
	return s.err
}

func order(end bool) int {
	if end {
		return 1
	}
	return 0
}

// find is the element that holds a key, nil if none does.
func (s *set) find(key []byte) *nftables.SetElement {
	after := sort.Search(len(s.elements), func(i int) bool { return bytes.Compare(s.elements[i].Key, key) > 0 })
	if after > 0 {
		last := &s.elements[after-1]
		if !last.IntervalEnd && (s.Interval || bytes.Equal(last.Key, key)) {
			return last
		}
	}
	return s.other
}
