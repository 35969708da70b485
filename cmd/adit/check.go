package main

import (
	"context"
	"fmt"
	"os"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

func runCheck(ctx context.Context, s streams, args []string) error {
	f := newFlags(s, "check", "[-c FILE] [-login NAME [-method METHOD]]",
		"Checks the configuration, then whether this host can run it. Nothing is changed. With\n"+
			"-login it asks about one user instead, whose password it reads from the terminal or\n"+
			"from standard input, and says what the user would be granted.")
	file := fileFlag(f, found)
	login := f.String("login", "", "name of a user whose login is tried, without a session or accounting")
	method := f.String("method", "", "method of -login: pap, chap or mschapv2; empty: the first of auth.methods that can be")
	if done, err := parseOnlyFlags(f, args); done {
		return err
	}
	if given(f, "method") && *login == "" {
		return usagef("-method does nothing without -login")
	}
	if *file == "" {
		*file = findConfig("")
	}
	c, err := conf.Load(*file, os.Environ())
	if err != nil {
		return err
	}
	if *login != "" {
		password, err := askOnce(s, *login)
		if err != nil {
			return err
		}
		return printFindings(s, app.CheckLogin(ctx, c, *login, password, conf.Method(*method)))
	}
	if _, err := app.Kernels(); err != nil {
		return err
	}
	return printFindings(s, app.Check(c))
}

// printFindings prints a line each. It fails if one of them is a failure.
func printFindings(s streams, list []app.Finding) error {
	failed := 0
	for _, finding := range list {
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
		fmt.Fprintf(s.out, "%s  %s\n", mark, app.Prose(text))
	}
	if failed > 0 {
		return fmt.Errorf("%d of the checks failed", failed)
	}
	return nil
}
