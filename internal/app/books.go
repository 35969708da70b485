package app

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	books "github.com/adit-vpn/adit/auth/ledger"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/admin"
)

const (
	booksFile  = "accounting.db"  // in the state directory: accounting records that wait
	booksMark  = time.Minute      // how often it is noted what live sessions have carried
	booksLook  = 10 * time.Second // how often it is looked whether records wait
	booksLimit = time.Minute      // for how long they may before there is a warning
)

// accounted reports whether a server is configured for accounting.
func accounted(c *conf.Config) bool {
	for _, s := range c.Radius.Servers {
		if s.Accounting.String() != "" {
			return true
		}
	}
	return false
}

// keepBooks notes what live sessions have carried, and warns of records that wait, until
// cleanup.
func (a *instance) keepBooks(ctx context.Context, cleanup *closers) {
	if a.radius == nil {
		return
	}
	stop := a.background(context.WithoutCancel(ctx), func(ctx context.Context) { // connections outlive ctx
		tick := time.NewTicker(booksLook)
		defer tick.Stop()
		marked, warned := time.Now(), false
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				if now.Sub(marked) >= booksMark {
					marked = now
					a.radius.Mark(a.carried(now))
				}
				list := a.booksWarnings(now)
				if len(list) > 0 && !warned {
					a.log.Warn(list[0])
				}
				warned = len(list) > 0
			}
		}
	})
	cleanup.add(func() error { stop(); return nil })
}

// carried is what each session has carried.
func (a *instance) carried(now time.Time) (list []books.Carried) {
	for _, c := range a.server.List() {
		for _, s := range c.Sessions {
			list = append(list, books.Carried{
				Session: s.ID, Time: now, Duration: now.Sub(s.Since),
				InputOctets: s.InOctets, OutputOctets: s.OutOctets, InputPackets: s.InPackets, OutputPackets: s.OutPackets,
			})
		}
	}
	return list
}

// booksWarnings are what an administrator should know of records that wait.
func (a *instance) booksWarnings(now time.Time) []string {
	s, ok := a.bookkeeping()
	if !ok || s.Oldest.IsZero() || now.Sub(s.Oldest) < booksLimit {
		return nil
	}
	kept := "they are kept on disk"
	if !s.OnDisk {
		kept = "they are in memory alone"
	}
	return []string{fmt.Sprintf("accounting records wait for a RADIUS server since %s: %d, of which servers refuse %d; %s",
		s.Oldest.Local().Format(time.DateTime), s.Waiting, s.Aside, kept)}
}

// bookkeeping is how accounting stands; false: there is none.
func (a *instance) bookkeeping() (books.Stats, bool) {
	if a.radius == nil {
		return books.Stats{}, false
	}
	return a.radius.AccountingStats()
}

// accounting is that for the status; nil: there is none.
func (a *instance) accounting() *admin.Accounting {
	s, ok := a.bookkeeping()
	if !ok {
		return nil
	}
	st := &admin.Accounting{Waiting: s.Waiting, SetAside: s.Aside, OnDisk: s.OnDisk}
	if !s.Oldest.IsZero() {
		st.Oldest = &s.Oldest
	}
	for why, n := range s.Lost {
		if n > 0 {
			if st.Lost == nil {
				st.Lost = map[string]uint64{}
			}
			st.Lost[why.String()] = n
		}
	}
	return st
}

// collectBooks is that for the metrics.
func (g gauges) collectBooks(ch chan<- prometheus.Metric) {
	s, ok := g.bookkeeping()
	if !ok {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(descBooks, float64(s.Waiting-s.Aside), "no")
	gauge(descBooks, float64(s.Aside), "yes")
	age, disk := 0.0, 0.0
	if !s.Oldest.IsZero() {
		age = time.Since(s.Oldest).Seconds()
	}
	if s.OnDisk {
		disk = 1
	}
	gauge(descBooksAge, age)
	gauge(descBooksDisk, disk)
	for _, why := range books.Losses() {
		ch <- prometheus.MustNewConstMetric(descBooksLost, prometheus.CounterValue, float64(s.Lost[why]), why.String())
	}
}
