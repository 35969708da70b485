package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/adit-vpn/adit/test/cmd/bench/report"
)

// say adds a figure that has a bound and a remark, but is not one of the goals.
func (b *bench) say(f *report.Figure, aim report.Bound, how string) {
	f.Aim, f.How = aim, how
	b.said = append(b.said, b.Add(f))
	fmt.Fprintf(os.Stderr, "%s: %s\n", f.Name, f)
}

// saidTable is the table of these figures.
func (b *bench) saidTable() {
	if len(b.said) == 0 {
		return
	}
	t := report.Table{Title: "Connections, sessions and an idle server", Header: []string{"Figure", "Measured", "Aim", "How"}}
	for _, f := range b.said {
		t.Rows = append(t.Rows, []string{f.Name, f.String(), f.Aim.Text(f.Unit), f.How})
	}
	b.Tables = append(b.Tables, t)
}

// machine describes the machine on which the run measures.
func machine(ctx context.Context) string {
	model := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel := "Linux"
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel += " " + strings.TrimSpace(string(b))
	}
	ssl := "no openssl"
	if b, err := exec.CommandContext(ctx, "openssl", "version").Output(); err == nil {
		ssl = strings.Join(strings.Fields(string(b))[:2], " ")
	}
	return fmt.Sprintf("%s, %s, %s, %s, %s. Clients and server share the machine.", cores(), model, kernel, runtime.Version(), ssl)
}

func cores() string { return fmt.Sprintf("%d cores", runtime.NumCPU()) }

// spread formats a median and the range of its samples.
func spread(v []float64) string { return (&report.Figure{Samples: v}).Bare() }
