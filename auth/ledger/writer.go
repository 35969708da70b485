package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/adit-vpn/adit/auth"
)

// restore reads the file, ends the sessions that were live when it was last written, and
// writes it anew.
func (l *Ledger) restore(now time.Time) {
	if l.cfg.Path == "" {
		return
	}
	h, err := readFile(l.cfg.Path)
	if err != nil {
		l.cfg.Problem(fmt.Sprintf("the queue %s cannot be read: records wait in memory, and are lost when the server stops: %v", l.cfg.Path, err))
		l.cfg.Path = "" // what is in it stays in it
		return
	}
	if len(h.bad) > 0 {
		l.setAside(now, h)
	}
	slices.SortFunc(h.out, func(a, b waiting) int { return int(min(1, max(-1, int64(a.seq)-int64(b.seq)))) })
	for _, w := range h.out {
		if w.Status != auth.Start { // one that was on its way when the server died is in the file, too
			l.book.supersede(w.Call.SessionID)
		}
		l.book.settled(l.book.add(w.Time, w.seq, w.Record, w.data))
	}
	for _, r := range h.live {
		l.cutOff(now, r)
	}
	l.book.changes = nil // the new file has everything
	l.rebuild(false)
}

// cutOff ends a session that was live when the server died, as of the last that is known of
// it.
func (l *Ledger) cutOff(now time.Time, r auth.Record) {
	for _, e := range l.book.lanes[r.Call.SessionID] {
		if e.Record.Status == auth.Stop { // it has ended: a damaged file may say both
			return
		}
	}
	r.Status, r.Cause = auth.Stop, auth.NASReboot
	data, err := encode(&r)
	if err != nil {
		return
	}
	if e := l.book.put(now, r, data); e != nil {
		l.book.settled(e)
	}
}

// setAside keeps a damaged file for who wants to look into it. It has its old name, too, until the
// new one is complete: what could be read is on disk at each moment.
func (l *Ledger) setAside(now time.Time, h held) {
	aside := l.cfg.Path + ".damaged-" + now.UTC().Format("20060102T150405Z")
	fate := "is now " + aside
	err := os.Link(l.cfg.Path, aside)
	if info, statErr := os.Stat(l.cfg.Path); err != nil && statErr == nil && info.IsDir() {
		err = os.Rename(l.cfg.Path, aside) // no file can take its place
	}
	if err != nil {
		fate = "cannot be kept"
	}
	l.cfg.Problem(fmt.Sprintf("the queue %s is damaged and %s: %d records could be read and will be sent, and %d sessions ended; not what follows: %v",
		l.cfg.Path, fate, len(h.out), len(h.live), errors.Join(append(h.bad, err)...)))
}

// rebuild writes the file anew. With quiet, nobody is told if it cannot be written.
func (l *Ledger) rebuild(quiet bool) {
	l.mu.Lock()
	var all []change
	for id, data := range l.book.live {
		all = append(all, change{live: true, key: id, data: data})
	}
	for _, e := range l.book.all {
		if e.state != gone && !e.stale {
			all = append(all, change{key: seqKey(e.seq), data: e.data})
		}
	}
	l.book.changes = nil
	l.mu.Unlock()
	d, err := create(l.cfg.Path, all)
	if err != nil && !quiet {
		l.cfg.Problem(fmt.Sprintf("the queue %s cannot be written: records wait in memory, and those that no server has taken are lost if the server dies: %v", l.cfg.Path, plain(err)))
	}
	if err == nil && quiet {
		l.cfg.News("the queue " + l.cfg.Path + " can be written again")
	}
	l.disk = d
	l.mu.Lock()
	l.onDisk = d != nil
	l.mu.Unlock()
}

// plain is an error without the names of files that nobody knows.
func plain(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}

// write is the writer: it makes a transaction of what has come, every batchTime at most.
func (l *Ledger) write() {
	defer close(l.done)
	var retry <-chan time.Time
	for {
		if l.disk == nil && l.cfg.Path != "" && retry == nil {
			retry = time.After(retryDisk)
		}
		select {
		case <-l.wake:
			l.gather()
			l.commit()
		case <-retry:
			retry = nil
			l.rebuild(true)
		case <-l.stop:
			l.commit()
			if l.disk == nil && l.cfg.Path != "" {
				l.rebuild(true) // perhaps it can be written now
			}
			if l.disk != nil {
				l.disk.close()
			}
			return
		}
	}
}

// gather lets records come together: for batchTime, or until there are batchSize of them or
// somebody waits.
func (l *Ledger) gather() {
	timer := time.NewTimer(batchTime)
	defer timer.Stop()
	for {
		l.door.Lock()
		enough := len(l.door.inbox) >= batchSize || len(l.door.syncs) > 0
		l.door.Unlock()
		if enough {
			return
		}
		select {
		case <-timer.C:
			return
		case <-l.wake:
		case <-l.stop:
			return
		}
	}
}

// commit writes what has come, and gives it to the sender.
func (l *Ledger) commit() {
	l.door.Lock()
	inbox, marks, syncs := l.door.inbox, l.door.marks, l.door.syncs
	l.door.inbox, l.door.marks, l.door.syncs = nil, nil, nil
	l.door.Unlock()
	for {
		part := inbox[:min(len(inbox), batchSize)]
		inbox = inbox[len(part):]
		l.mu.Lock()
		fresh, full := l.enter(time.Now(), part)
		changes := l.book.changes
		l.book.changes = nil
		l.mu.Unlock()
		l.save(changes)
		l.mu.Lock()
		for _, e := range fresh {
			l.book.settled(e)
		}
		l.mu.Unlock()
		if len(fresh) > 0 {
			signal(l.ready)
		}
		if full {
			l.tellLost(textFull)
		}
		if len(inbox) == 0 {
			break
		}
	}
	for part := range slices.Chunk(marks, batchSize) {
		l.mu.Lock()
		l.mark(part)
		changes := l.book.changes
		l.book.changes = nil
		l.mu.Unlock()
		l.save(changes)
	}
	for _, done := range syncs {
		close(done)
	}
}

// save writes changes in one transaction: a Stop and the end of its session are never apart.
func (l *Ledger) save(changes []change) {
	if l.disk == nil || len(changes) == 0 {
		return
	}
	if err := l.disk.write(changes); err != nil {
		if l.disk.broken {
			l.cfg.Problem(fmt.Sprintf("the queue %s was damaged while it was open, and is written anew with all that is in memory: look at the disk: %v", l.cfg.Path, err))
		}
		l.disk.close()
		l.rebuild(false) // with all that is in memory; else in memory alone
	}
}

// enter takes records into the book.
func (l *Ledger) enter(now time.Time, inbox []auth.Record) (fresh []*Entry, full bool) {
	for _, r := range inbox {
		data, err := encode(&r)
		if err != nil {
			l.book.lost[Unwritten]++
			continue
		}
		if e := l.book.put(now, r, data); e != nil {
			fresh = append(fresh, e)
		} else {
			full = true
		}
	}
	return fresh, full
}

// mark brings the last records of live sessions up to date.
func (l *Ledger) mark(list []Carried) {
	for _, c := range list {
		r, err := decode(l.book.live[c.Session])
		if err != nil || c.Time.Before(r.Time) {
			continue // it has ended, or has not begun
		}
		r.Time, r.Duration = c.Time, c.Duration
		r.InputOctets, r.OutputOctets, r.InputPackets, r.OutputPackets = c.InputOctets, c.OutputOctets, c.InputPackets, c.OutputPackets
		if data, err := encode(&r); err == nil {
			l.book.setLive(c.Session, data)
		}
	}
}
