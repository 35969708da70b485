package main

import (
	"context"
	"fmt"
	"os"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

func runCheck(_ context.Context, s streams, args []string) error {
	f := newFlags(s, "check", "[-c FILE]", "Checks the configuration, then whether this host can run it. Nothing is changed.")
	file := fileFlag(f, found)
	if done, err := parseOnlyFlags(f, args); done {
		return err
	}
	if *file == "" {
		*file = findConfig("")
	}
	c, err := conf.Load(*file, os.Environ())
	if err != nil {
		return err
	}
	if _, err := app.Kernels(); err != nil {
		return err
	}
	failed := 0
	for _, finding := range app.Check(c) {
		mark := "ok  "
		switch {
		case finding.Err != nil:
			mark, failed = "FAIL", failed+1
		case finding.Warning:
			mark = "warn"
		}
		text := finding.What
		if finding.Err != nil {
			text += ": " + finding.Err.Error()
		}
		fmt.Fprintf(s.out, "%s  %s\n", mark, text)
	}
	if failed > 0 {
		return fmt.Errorf("%d of the checks failed", failed)
	}
	return nil
}
