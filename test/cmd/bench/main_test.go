package main

import (
	"errors"
	"testing"
	"time"
)

// Only a whole run draws the chart that is published.
func TestOnlyAWholeRunDrawsTheChart(t *testing.T) {
	whole := func() *bench { return &bench{repeat: wholeRepeat, watch: wholeWatch} }
	all := []string{"bulk", "udp", "idle"}
	if why := whole().partial(all, nil); why != "" {
		t.Errorf("a whole run draws none: %s", why)
	}
	for name, change := range map[string]func(b *bench, parts *[]string, failed *error){
		"-quick":                func(b *bench, parts *[]string, _ *error) { quick := ""; b.quicken(&quick) },
		"-only udp":             func(_ *bench, parts *[]string, _ *error) { *parts = []string{"udp"} },
		"-contestants":          func(b *bench, _ *[]string, _ *error) { b.lanes = []string{best} },
		"-repeat 1":             func(b *bench, _ *[]string, _ *error) { b.repeat = 1 },
		"-watch 100ms":          func(b *bench, _ *[]string, _ *error) { b.watch = 100 * time.Millisecond },
		"something that failed": func(_ *bench, _ *[]string, failed *error) { *failed = errors.New("x") },
	} {
		b, parts, failed := whole(), all, error(nil)
		change(b, &parts, &failed)
		if b.partial(parts, failed) == "" {
			t.Errorf("%s draws the chart", name)
		}
	}
}
