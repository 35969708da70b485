package app

import "github.com/prometheus/client_golang/prometheus"

var (
	descGuessRefused = prometheus.NewDesc("adit_guesses_refused_total", "Attempts to authenticate that were not made, by whose queue was full: a source's, a user's, that of all, or that of who authenticates again and again.", []string{"reason"}, nil)
	descGuessSlowed  = prometheus.NewDesc("adit_guessing_slowed", "Sources, and users' names, whose next attempt to authenticate waits because others were wrong; sum: 1 if everybody's does.", []string{"of"}, nil)
	descGuessWaiting = prometheus.NewDesc("adit_guesses_waiting", "Attempts to authenticate that wait for their time, or for answers to others.", nil, nil)
)

// guardGauges reads what slows guessing down when it is scraped.
type guardGauges struct{ *instance }

// Describe implements prometheus.Collector.
func (g guardGauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descGuessRefused, descGuessSlowed, descGuessWaiting} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g guardGauges) Collect(ch chan<- prometheus.Metric) {
	st := g.guard.Stats()
	for q, n := range st.Refused {
		ch <- prometheus.MustNewConstMetric(descGuessRefused, prometheus.CounterValue, float64(n), q.String())
	}
	for q, n := range st.Slowed {
		ch <- prometheus.MustNewConstMetric(descGuessSlowed, prometheus.GaugeValue, float64(n), q.String())
	}
	ch <- prometheus.MustNewConstMetric(descGuessWaiting, prometheus.GaugeValue, float64(st.Waiting))
}
