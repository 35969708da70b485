package app

import "github.com/prometheus/client_golang/prometheus"

// radiusLabels are those of every series of a RADIUS server. A server's address is the
// configuration's, so there are as many as it names.
var radiusLabels = []string{"server", "service"}

var (
	descRadiusUp       = prometheus.NewDesc("adit_radius_up", "Whether a RADIUS server answers, as far as is known.", radiusLabels, nil)
	descRadiusState    = prometheus.NewDesc("adit_radius_state", "State of a RADIUS server: 1 for the one that it is in.", append(radiusLabels, "state"), nil)
	descRadiusWaiting  = prometheus.NewDesc("adit_radius_waiting", "Requests that wait for a RADIUS server.", radiusLabels, nil)
	descRadiusRequests = prometheus.NewDesc("adit_radius_requests_total", "Requests to a RADIUS server, by how they ended.", append(radiusLabels, "result"), nil)
	descRadiusRepeats  = prometheus.NewDesc("adit_radius_repeats_total", "Repeats of requests to a RADIUS server.", radiusLabels, nil)
	descRadiusDropped  = prometheus.NewDesc("adit_radius_dropped_total", "Packets from a RADIUS server that were dropped, by reason.", append(radiusLabels, "reason"), nil)
	descRadiusIgnored  = prometheus.NewDesc("adit_radius_ignored_attributes_total", "Attributes of Access-Accepts that have no effect, by name.", []string{"attribute"}, nil)
	descRadiusSeconds  = prometheus.NewDesc("adit_radius_request_seconds", "Time from a request to a RADIUS server to its answer.", radiusLabels, nil)
)

// radiusGauges reads the client of the RADIUS servers when it is scraped.
type radiusGauges struct{ *instance }

// Describe implements prometheus.Collector.
func (g radiusGauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRadiusUp, descRadiusState, descRadiusWaiting, descRadiusRequests, descRadiusRepeats, descRadiusDropped, descRadiusIgnored, descRadiusSeconds} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g radiusGauges) Collect(ch chan<- prometheus.Metric) {
	if g.radius == nil {
		return
	}
	for name, n := range g.radius.IgnoredAttributes() {
		ch <- prometheus.MustNewConstMetric(descRadiusIgnored, prometheus.CounterValue, float64(n), name)
	}
	for _, s := range g.radius.Status() {
		metric := func(d *prometheus.Desc, t prometheus.ValueType, v float64, more ...string) {
			ch <- prometheus.MustNewConstMetric(d, t, v, append([]string{s.Server, s.Service}, more...)...)
		}
		up := 0.0
		if s.Why == nil {
			up = 1
		}
		metric(descRadiusUp, prometheus.GaugeValue, up)
		metric(descRadiusState, prometheus.GaugeValue, 1, s.State.String())
		metric(descRadiusWaiting, prometheus.GaugeValue, float64(s.Waiting))
		for result, n := range s.Results {
			metric(descRadiusRequests, prometheus.CounterValue, float64(n), result)
		}
		metric(descRadiusRepeats, prometheus.CounterValue, float64(s.Repeats))
		for reason, n := range s.Dropped {
			metric(descRadiusDropped, prometheus.CounterValue, float64(n), reason)
		}
		ch <- prometheus.MustNewConstHistogram(descRadiusSeconds, s.Answers, s.Duration, s.Latency, s.Server, s.Service)
	}
}
