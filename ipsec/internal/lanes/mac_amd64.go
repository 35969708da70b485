//go:build amd64 && !purego

package lanes

// chunk is how many jobs are planned together. More would sort better, but
// their outer blocks would crowd packets out of the cache.
const chunk = 64

// queue is the jobs of a chunk in the order that they are to be done in.
type queue struct {
	others [chunk]uint8 // jobs that are like no other
	order  [chunk]uint8
	count  [hashes * classes]uint8
}

// classes is how many lengths in blocks are told apart: all that are longer
// than a network's packets count as one.
const classes = 64

var inOrder = func() (all [chunk]uint8) {
	for i := range all {
		all[i] = uint8(i)
	}
	return all
}()

func (s *macScratch) initMACs(t Tier) {
	if t != Generic {
		s.group = newGroup()
		s.plans = plan(t, features())
	}
}

// sum computes the jobs of each hash together.
func (e *Engine) sum(jobs []MAC) {
	if e.tier == Generic {
		e.sumGeneric(jobs)
		return
	}
	for len(jobs) > 0 {
		n := min(len(jobs), chunk)
		e.sumChunk(jobs[:n])
		jobs = jobs[n:]
	}
	e.release()
	e.forget()
}

func (e *Engine) sumChunk(jobs []MAC) {
	rest := e.sumAlike(jobs)
	if len(rest) == 0 {
		return
	}
	hash, class, same := jobs[rest[0]].Key.hash, classOf(&jobs[rest[0]]), true
	for _, i := range rest {
		same = same && jobs[i].Key.hash == hash && classOf(&jobs[i]) == class
	}
	if same {
		e.sumHash(hash, jobs, rest)
		return
	}
	order := e.sort(jobs, rest)
	for len(order) > 0 {
		hash, n := jobs[order[0]].Key.hash, 1
		for n < len(order) && jobs[order[n]].Key.hash == hash {
			n++
		}
		e.sumHash(hash, jobs, order[:n])
		order = order[n:]
	}
}

// sumAlike computes those jobs that there is a kernel for since they are alike,
// although others lie between them, and returns the others.
func (e *Engine) sumAlike(jobs []MAC) (rest []uint8) {
	if e.tier != AVX512 {
		return inOrder[:len(jobs)]
	}
	rest = e.others[:0]
	var waiting [maxTogether]uint8
	n := 0
	sumWaiting := func() {
		if n >= leastSigned {
			e.signTogether(jobs, waiting[:n])
		} else {
			rest = append(rest, waiting[:n]...)
		}
		n = 0
	}
	for i := range jobs {
		j := &jobs[i]
		switch {
		case n > 0 && jobs[waiting[0]].like(j):
		case e.together(j.Key, j.Data, j.Sum) && (n == 0 || i+1 < len(jobs) && j.like(&jobs[i+1])):
			sumWaiting()
		default:
			rest = append(rest, uint8(i))
			continue
		}
		waiting[n] = uint8(i)
		if n++; n == maxTogether {
			sumWaiting()
		}
	}
	sumWaiting()
	return rest
}

// like reports whether two jobs can be computed together, if one of them can be
// with another at all.
func (j *MAC) like(k *MAC) bool {
	return j.Key == k.Key && len(j.Data) == len(k.Data) && len(j.Sum) == len(k.Sum)
}

// classOf is lower for longer jobs.
func classOf(j *MAC) int { return max(0, classes-1-len(j.Data)/64) }

// sort orders jobs by hash, and those of a hash from long to short: a long one
// that begins last is alone at the end. It counts, since there are few
// different lengths.
func (q *queue) sort(jobs []MAC, some []uint8) []uint8 {
	clear(q.count[:])
	for _, i := range some {
		q.count[int(jobs[i].Key.hash)*classes+classOf(&jobs[i])]++
	}
	n := uint8(0)
	for i, c := range q.count {
		q.count[i] = n
		n += c
	}
	for _, i := range some {
		p := &q.count[int(jobs[i].Key.hash)*classes+classOf(&jobs[i])]
		q.order[*p] = i
		*p++
	}
	return q.order[:len(some)]
}

// sumHash computes jobs that have the same hash: first all inner hashes, then
// the outer ones, which are one block each and so fill the lanes again. Jobs
// for which there is no kernel are for the standard library.
func (e *Engine) sumHash(h Hash, jobs []MAC, order []uint8) {
	p, f := &e.plans[h], &forms[h]
	n := p.forKernels(len(order))
	if n > 0 {
		e.inner(p, f, jobs, order[:n])
	}
	for done := 0; done < n; {
		k := p.kernel(n - done)
		some := order[done:min(done+k.lanes, n)]
		e.outer(k, f, jobs, some)
		done += len(some)
	}
	for _, i := range order[n:] {
		copy(jobs[i].Sum, e.sumOne(jobs[i].Key, jobs[i].Data))
	}
}

// inner computes inner hashes. A lane that is done takes the next job. When
// there are no more, the lanes that are left move together, and when few are
// left they go on with the narrow kernel.
func (s *macScratch) inner(p *plans, f *form, jobs []MAC, order []uint8) {
	g := s.group
	lanes := p.kernel(len(order)).lanes
	busy := min(lanes, len(order))
	for lane := range lanes {
		if lane < busy {
			s.start(f, lane, order[lane], &jobs[order[lane]])
		} else {
			s.rest(lane)
		}
	}
	order = order[busy:]
	for busy > 0 {
		k := p.kernel(busy)
		steps := g.least(min(busy, k.lanes))
		if len(order) == 0 && k.masked {
			steps = g.kth(busy, p.few)
		}
		k.run(g.pointer(), steps)
		for lane := 0; lane < min(busy, k.lanes); {
			switch {
			case g.total[lane] != 0:
				lane++
			case len(order) > 0:
				s.finish(f, lane)
				s.start(f, lane, order[0], &jobs[order[0]])
				order = order[1:]
				lane++
			default:
				s.finish(f, lane)
				busy--
				s.move(busy, lane)
			}
		}
	}
}

// outer computes the outer hashes of as many jobs as there are lanes, or fewer.
func (s *macScratch) outer(k *kernel, f *form, jobs []MAC, order []uint8) {
	for lane := range k.lanes {
		if lane < len(order) {
			s.startOuter(lane, order[lane], jobs[order[lane]].Key)
		} else {
			s.rest(lane)
		}
	}
	k.run(s.group.pointer(), 1)
	for lane, i := range order {
		copy(jobs[i].Sum, s.group.sums[lane][:f.size])
	}
}
