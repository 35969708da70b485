package netdev

import (
	"net/netip"
	"slices"
	"time"
)

const (
	arpWait     = 3 * time.Second        // a question without an answer is over
	arpAnswer   = 500 * time.Millisecond // answers are there by then: the question may yield to another
	arpQuestion = 1024                   // questions at once
	arpShare    = 32                     // of them, of one client
	arpQueue    = 4                      // packets that wait for one answer
)

// questions are the neighbours that are asked for and have not answered. Clients
// ask by sending packets, and one that sends to every address of the LAN keeps
// nobody else from asking, nor itself from asking again.
type questions struct {
	list []*question // the oldest first
	by   map[netip.Addr]*question
	of   map[netip.Addr]int // how many are of an asker
}

type question struct {
	target, asker netip.Addr
	since, asked  time.Time
	queue         [][]byte // frames that wait
}

func newQuestions() questions {
	return questions{by: map[netip.Addr]*question{}, of: map[netip.Addr]int{}}
}

// expire removes what nobody has answered.
func (qs *questions) expire(now time.Time) {
	for len(qs.list) > 0 && now.Sub(qs.list[0].since) >= arpWait {
		qs.remove(0)
	}
}

func (qs *questions) remove(i int) {
	q := qs.list[i]
	qs.list = slices.Delete(qs.list, i, i+1)
	delete(qs.by, q.target)
	if qs.of[q.asker]--; qs.of[q.asker] == 0 {
		delete(qs.of, q.asker)
	}
}

// take takes a question that was answered, nil if there is none.
func (qs *questions) take(target netip.Addr) *question {
	q := qs.by[target]
	if q != nil {
		qs.remove(slices.Index(qs.list, q))
	}
	return q
}

// add makes a question of an asker's, nil if there is no room now.
func (qs *questions) add(target, asker netip.Addr, now time.Time) *question {
	if !qs.room(asker, now) {
		return nil
	}
	q := &question{target: target, asker: asker, since: now}
	qs.list = append(qs.list, q)
	qs.by[target] = q
	qs.of[asker]++
	return q
}

// room makes room for a question of an asker's. An asker that has used its share gives up
// one of its own questions whose time is over. When all places are taken, the oldest that
// has had its time is given up, or else one of the asker with the most, down to equal
// shares.
func (qs *questions) room(asker netip.Addr, now time.Time) bool {
	own := qs.of[asker]
	switch {
	case own >= arpShare:
		return qs.giveUp(qs.oldest(asker), now)
	case len(qs.list) < arpQuestion || qs.giveUp(0, now):
		return true
	}
	var most netip.Addr
	for a, n := range qs.of {
		if n > qs.of[most] {
			most = a
		}
	}
	if qs.of[most] <= own+1 {
		return false
	}
	qs.remove(qs.oldest(most))
	return true
}

// oldest is the place of an asker's oldest question.
func (qs *questions) oldest(asker netip.Addr) int {
	return slices.IndexFunc(qs.list, func(q *question) bool { return q.asker == asker })
}

// giveUp removes a question that has had its time.
func (qs *questions) giveUp(i int, now time.Time) bool {
	if now.Sub(qs.list[i].since) < arpAnswer {
		return false
	}
	qs.remove(i)
	return true
}
