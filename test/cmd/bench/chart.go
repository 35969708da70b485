package main

import "github.com/adit-vpn/adit/test/cmd/bench/report"

// chart is the chart of the README: what a GB costs with each contestant.
func (b *bench) chart() *report.Chart {
	c := &report.Chart{
		Title:  "CPU seconds of the server for a GB of TCP, AES-256 with HMAC-SHA1; less is better",
		Note:   b.Machine,
		Series: []string{"download", "upload"},
		Mark:   b.Get("unit").Median(), MarkName: "OpenSSL, encryption alone",
	}
	for _, r := range []struct{ key, name string }{
		{best, "adit, AVX-512"},
		{aditKey("aesni", "cbc-sha1"), "adit, AES-NI"},
		{aditKey("generic", "cbc-sha1"), "adit, pure Go"},
		{naive, "naive Go"},
		{softEther, "SoftEther"},
	} {
		row := report.Row{Name: r.name}
		for _, way := range ways {
			row.Values = append(row.Values, b.Get(bulkKey(r.key, way, "cost")).Median())
		}
		c.Rows = append(c.Rows, row)
	}
	return c
}
