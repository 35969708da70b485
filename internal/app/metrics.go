package app

import (
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// meter counts decisions.
type meter struct {
	phaseOne, children, sessions, panics prometheus.Counter

	users atomic.Uint64 // sessions, for who looks for floods

	refused *prometheus.CounterVec // first messages and control packets, by layer and reason
	auth    *prometheus.CounterVec // by method and verdict
	noted   *prometheus.CounterVec // contents of control packets that changed nothing, by layer and kind
	ended   *prometheus.CounterVec // connections, by reason
}

func newMeter() *meter {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "adit", Name: name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "adit", Name: name, Help: help}, labels)
	}
	return &meter{
		phaseOne: counter("ike_established_total", "IKE phases 1 that proved a pre-shared key."),
		children: counter("esp_established_total", "Pairs of ESP SAs that carried traffic."),
		sessions: counter("sessions_total", "User sessions that came up."),
		panics:   counter("panics_total", "Connections that an error in the server ended."),
		refused:  vec("control_packets_refused_total", "Control packets dropped, by layer and reason.", "layer", "reason"),
		noted:    vec("control_notes_total", "What control packets held that was ignored or out of place, by layer and kind.", "layer", "kind"),
		auth:     vec("authentications_total", "Authentications, by method and verdict.", "method", "verdict"),
		ended:    vec("connections_ended_total", "Connections ended, by reason.", "reason"),
	}
}

// count counts one event. Labels are our own words, never a peer's.
func (m *meter) count(e vpn.Event) {
	switch e := e.(type) {
	case vpn.PhaseOneUp:
		m.phaseOne.Inc()
	case vpn.ChildUp:
		m.children.Inc()
	case vpn.SessionUp:
		m.sessions.Inc()
		m.users.Add(1)
	case vpn.Panicked:
		m.panics.Inc()
	case vpn.FirstMessageRefused:
		m.refused.WithLabelValues(vpn.LayerIKE.String(), reason(e.Why)).Inc()
	case vpn.PacketRefused:
		m.refused.WithLabelValues(e.Layer.String(), reason(e.Why)).Inc()
	case vpn.Noted:
		m.noted.WithLabelValues(e.Layer.String(), e.Kind).Inc()
	case vpn.AuthDone:
		verdict := e.Verdict
		if e.Err != nil {
			m.auth.WithLabelValues(e.Method.String(), "no verdict").Inc()
			return
		}
		m.auth.WithLabelValues(e.Method.String(), verdict.String()).Inc()
	case vpn.ConnDown:
		m.ended.WithLabelValues(e.Why.String()).Inc()
	}
}

// reasons are the errors that control packets are dropped for.
var reasons = append(vpn.DropReasons(),
	ike.ErrCertificate, ike.ErrSignature, ike.ErrIdentity, ike.ErrAggressive,
	ike.ErrTruncated, ike.ErrMalformed, ike.ErrVersion, ike.ErrUnexpected, ike.ErrCookies, ike.ErrReplay, ike.ErrHash, ike.ErrUndecryptable,
	ike.ErrTrials, ike.ErrKeyExchange, ike.ErrNoProposal, ike.ErrBudget, ike.ErrLimit, ike.ErrNoSPI, ike.ErrClosed,
	l2tp.ErrMalformed, l2tp.ErrUnexpected, l2tp.ErrTooLong, l2tp.ErrLimit, l2tp.ErrClosed,
	ppp.ErrMalformed, ppp.ErrUnexpected, ppp.ErrTooLong, ppp.ErrClosed,
)

// reason is a label for err: one of a fixed set, whatever a peer sent.
func reason(err error) string {
	for _, known := range reasons { // most are not wrapped, and floods of them come
		if err == known { //nolint:errorlint // the wrapped ones are next
			return known.Error()
		}
	}
	for _, known := range reasons {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "other"
}

// registry returns everything that /metrics shows.
func (m *meter) registry(a *instance) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(m.phaseOne, m.children, m.sessions, m.panics, m.refused, m.noted, m.auth, m.ended, gauges{a}, radiusGauges{a}, coaGauges{a}, guardGauges{a})
	return r
}

// gauges reads the server when it is scraped.
type gauges struct{ *instance }

var (
	descSessions  = prometheus.NewDesc("adit_sessions", "User sessions that are up.", nil, nil)
	descConns     = prometheus.NewDesc("adit_connections", "Peers that proved a pre-shared key.", nil, nil)
	descStrangers = prometheus.NewDesc("adit_unauthenticated", "Peers between message 3 and 5 of phase 1.", nil, nil)
	descHalf      = prometheus.NewDesc("adit_half_open", "First messages that were answered.", nil, nil)
	descLeases    = prometheus.NewDesc("adit_leases", "IPv4 addresses leased.", nil, nil)
	descPoolSize  = prometheus.NewDesc("adit_pool_size", "Addresses, or prefixes, that a pool leases, by its name (network: network.pool and the like) and kind.", []string{"pool", "kind"}, nil)
	descPoolUsed  = prometheus.NewDesc("adit_pool_used", "Of these, those that somebody has.", []string{"pool", "kind"}, nil)
	descPackets   = prometheus.NewDesc("adit_packets_total", "User packets carried.", []string{"direction"}, nil)
	descOctets    = prometheus.NewDesc("adit_octets_total", "User bytes carried.", []string{"direction"}, nil)
	descBooks     = prometheus.NewDesc("adit_accounting_waiting", "Accounting records that no server has taken, by whether servers that live refuse them.", []string{"refused"}, nil)
	descBooksAge  = prometheus.NewDesc("adit_accounting_oldest_seconds", "For how long the oldest accounting record waits; 0: none does.", nil, nil)
	descBooksLost = prometheus.NewDesc("adit_accounting_lost_total", "Accounting records lost, by reason.", []string{"reason"}, nil)
	descBooksDisk = prometheus.NewDesc("adit_accounting_on_disk", "Whether accounting records that wait outlive the server: 1, or 0.", nil, nil)
	descDrops     = prometheus.NewDesc("adit_drops_total", "Packets dropped, by reason.", []string{"reason"}, nil)
)

// Describe implements prometheus.Collector.
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descSessions, descConns, descStrangers, descHalf, descLeases, descPoolSize, descPoolUsed, descPackets, descOctets, descDrops, descBooks, descBooksAge, descBooksLost, descBooksDisk} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	sessions := 0
	for _, c := range g.server.List() {
		sessions += len(c.Sessions)
	}
	n := g.server.Counts()
	gauge(descSessions, sessions)
	gauge(descConns, n.Connections-n.Strangers)
	gauge(descStrangers, n.Strangers)
	gauge(descHalf, n.HalfOpen)
	gauge(descLeases, g.pool.Leased())
	g.collectPools(ch)
	g.collectBooks(ch)
	st := g.plane.Stats()
	counter(descPackets, st.InPackets, "in")
	counter(descPackets, st.OutPackets, "out")
	counter(descOctets, st.InOctets, "in")
	counter(descOctets, st.OutOctets, "out")
	for i, drops := range g.plane.Drops() {
		counter(descDrops, drops, dataplane.Drop(i).String())
	}
}

// collectPools says how full each pool is.
func (g gauges) collectPools(ch chan<- prometheus.Metric) {
	for kind, p := range map[string]*pool.Pool{"ipv4": g.pool, "ipv6": g.pool6, "delegate6": g.delegate6} {
		one := func(name string, p *pool.Pool) {
			used, size := p.Used()
			if size == 0 {
				return
			}
			ch <- prometheus.MustNewConstMetric(descPoolSize, prometheus.GaugeValue, size, name, kind)
			ch <- prometheus.MustNewConstMetric(descPoolUsed, prometheus.GaugeValue, float64(used), name, kind)
		}
		one("network", p)
		p.Named(func(name string, p *pool.Pool) { one(name, p) })
	}
}
