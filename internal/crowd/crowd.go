package crowd

import (
	"math/rand/v2"
	"slices"
)

// Crowd is what we keep for strangers, of one kind, in the order of age. When there is no
// room, the stranger with the most yields: a flood from few origins displaces its own
// members, and a flood from very many origins displaces the oldest. The zero value is
// empty.
type Crowd[T any] struct {
	members []*Member[T] // unordered, to pick some at random
	first   *Member[T]   // the oldest
	last    *Member[T]
	origins Census
}

// Member is one member of a crowd.
type Member[T any] struct {
	Value  T
	Origin Origin

	at           int    // its index in members
	turn         uint64 // increases with every member added
	older, newer *Member[T]
}

// samples is how many members are examined for an origin that has many. A flood that is
// half of the crowd is missed once in 256 times.
const samples = 8

// Len is the number of members.
func (c *Crowd[T]) Len() int { return len(c.members) }

// Origins counts the members by their origins. It may be read until the next change.
func (c *Crowd[T]) Origins() Census { return c.origins }

// Oldest is the member that was added or renewed longest ago, nil if the crowd is empty.
func (c *Crowd[T]) Oldest() *Member[T] { return c.first }

// Add adds a value as the youngest member.
func (c *Crowd[T]) Add(o Origin, v T) *Member[T] {
	if c.origins == nil {
		c.origins = Census{}
	}
	m := &Member[T]{Value: v, Origin: o, at: len(c.members)}
	c.members = append(c.members, m)
	c.origins.Add(o, 1)
	c.append(m)
	return m
}

func (c *Crowd[T]) append(m *Member[T]) {
	m.older, m.newer = c.last, nil
	if c.last == nil {
		c.first = m
	} else {
		m.turn = c.last.turn + 1
		c.last.newer = m
	}
	c.last = m
}

func (c *Crowd[T]) unlink(m *Member[T]) {
	if m.older == nil {
		c.first = m.newer
	} else {
		m.older.newer = m.newer
	}
	if m.newer == nil {
		c.last = m.older
	} else {
		m.newer.older = m.older
	}
}

// Renew makes m the youngest.
func (c *Crowd[T]) Renew(m *Member[T]) {
	if c.last == m {
		return
	}
	c.unlink(m)
	c.append(m)
}

// Remove removes m, which must be a member.
func (c *Crowd[T]) Remove(m *Member[T]) {
	c.unlink(m)
	last := len(c.members) - 1
	c.members[m.at] = c.members[last]
	c.members[m.at].at = m.at
	c.members[last] = nil
	c.members = c.members[:last]
	c.origins.Add(m.Origin, -1)
}

// Yields is the member that makes room. Of the oldest and some members chosen at random,
// it is the one whose origin has the most, and of equals the oldest. It is nil if the
// crowd is empty.
func (c *Crowd[T]) Yields() *Member[T] {
	victim := c.first
	if victim == nil {
		return nil
	}
	most := c.origins.Of(victim.Origin)
	for range samples {
		m := c.members[rand.IntN(len(c.members))]
		has := c.origins.Of(m.Origin)
		if d := slices.Compare(has[:], most[:]); d > 0 || d == 0 && m.turn < victim.turn {
			victim, most = m, has
		}
	}
	return victim
}

// OldestOf is the oldest member of an origin, nil if it has none.
func (c *Crowd[T]) OldestOf(o Origin) *Member[T] {
	for m := c.first; m != nil; m = m.newer {
		if m.Origin == o {
			return m
		}
	}
	return nil
}
