package main

import (
	"math"
	"strings"

	"github.com/adit-vpn/adit/test/cmd/bench/report"
)

// goals compares the measurements with the goals of the data path.
func (b *bench) goals() {
	for _, t := range []struct {
		env, name string
		must, aim float64
	}{{"avx512", "AVX-512 tier", 1.6, 1.2}, {"aesni", "AES-NI tier", 2.5, 2.0}, {"generic", "pure Go tier", 3.6, 3.0}} {
		b.eachWay(aditKey(t.env, "cbc-sha1"), "units", func(way string, f *report.Figure) {
			b.goal("goal/"+t.env+"/"+way, t.name+", "+way, "U", f, report.AtMost(t.must), report.AtMost(t.aim))
		})
	}
	zero := b.Get(bulkKey(noSums, "up", "units"))
	b.goal("goal/zero/up", "AVX-512 tier, up, no UDP checksums from the client", "U", zero, report.AtMost(2.8), report.AtMost(2.0))
	compare := func(key, name string, of, by string, must, aim report.Bound) {
		for _, way := range ways {
			x, y := b.Get(bulkKey(of, way, "cost")), b.Get(bulkKey(by, way, "cost"))
			f := report.Ratio("goal/"+key+"/"+way, name+", "+way, x, y)
			b.Goal(f, must, aim)
		}
	}
	compare(noCrypto, "against the same pipeline without cryptography", best, noCrypto, report.AtMost(1.4), report.AtMost(1.25))
	compare(naive, "naive Go takes more, by", naive, best, report.AtLeast(4), report.AtLeast(5))
	compare(softEther, "SoftEther takes more, by", softEther, best, report.AtLeast(8), report.AtLeast(15))
	for _, way := range ways {
		one, many := b.Get(sessionKey("n1", way, "cost")), b.Get(sessionKey("n1000", way, "cost"))
		b.Goal(report.Ratio("goal/sessions/"+way, "1,000 active sessions against 1, "+way, many, one), report.AtMost(1.5), report.AtMost(1.2))
	}
	for _, way := range ways {
		f := b.Get("server/allocations/" + way)
		g := &report.Figure{Key: "goal/allocations/" + way, Name: "heap objects a data packet, " + way, Why: f.Why}
		for _, v := range f.Samples {
			g.Samples = append(g.Samples, math.Round(100*v)/100)
		}
		b.Goal(g, report.AtMost(0), report.AtMost(0))
	}
	for _, w := range []weight{lone, cold} {
		added := b.Get(latencyKey(w.key, "p50", "added"))
		b.goal("goal/latency/"+w.key, "added latency of a lone packet, p50, "+strings.TrimPrefix(w.name, "nothing else, "), "µs", added, report.AtMost(60), report.AtMost(30))
	}
}

func (b *bench) eachWay(contestant, what string, do func(way string, f *report.Figure)) {
	for _, way := range ways {
		f := b.Get(bulkKey(contestant, way, what))
		if len(f.Samples) == 0 {
			f = b.Get(bulkKey(contestant, way, "cost"))
		}
		do(way, f)
	}
}

func (b *bench) goal(key, name, unit string, of *report.Figure, must, aim report.Bound) {
	b.Goal(&report.Figure{Key: key, Name: name, Unit: unit, Samples: of.Samples, Why: of.Why}, must, aim)
}
