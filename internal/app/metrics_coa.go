package app

import "github.com/prometheus/client_golang/prometheus"

var (
	descCoADropped  = prometheus.NewDesc("adit_radius_coa_dropped_total", "Datagrams to radius.coa_listen that were not answered, by reason.", []string{"reason"}, nil)
	descCoARequests = prometheus.NewDesc("adit_radius_coa_requests_total", "Requests of RADIUS servers about sessions, by what they ask for and by result: done, or the Error-Cause.", []string{"request", "result"}, nil)
	descCoARepeats  = prometheus.NewDesc("adit_radius_coa_repeats_total", "Requests of RADIUS servers about sessions that came again.", nil, nil)
	descCoAPanics   = prometheus.NewDesc("adit_radius_coa_panics_total", "Requests of RADIUS servers about sessions that an error in the server kept from being done.", nil, nil)
)

// coaGauges reads what RADIUS servers have asked for when it is scraped.
type coaGauges struct{ *instance }

// Describe implements prometheus.Collector.
func (g coaGauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descCoADropped, descCoARequests, descCoARepeats, descCoAPanics} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g coaGauges) Collect(ch chan<- prometheus.Metric) {
	if !g.coa.ready.Load() {
		return
	}
	st := g.coa.Stats()
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	counter(descCoARepeats, st.Repeats)
	counter(descCoAPanics, st.Panics)
	for reason, n := range st.Dropped {
		counter(descCoADropped, n, reason)
	}
	for r, n := range st.Results {
		counter(descCoARequests, n, r[0], r[1])
	}
}
