package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// printTable writes the figures as Markdown.
func printTable(w io.Writer, facts string, rows []row) {
	fmt.Fprintf(w, "\n%s\n\n| Figure | Measured | Aim | How |\n|---|---|---|---|\n", facts)
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", r.Figure, r.Value, r.Aim, r.How)
	}
}

// machine says what was measured on.
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

// spread writes a median, and the range that it is the median of.
func spread(v []float64, format string) string {
	f := func(x float64) string { return fmt.Sprintf(format, x) }
	low, high := f(slices.Min(v)), f(slices.Max(v))
	if low == high {
		return low
	}
	return fmt.Sprintf("%s (%s–%s)", f(median(v)), low, high)
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
