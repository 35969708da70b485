package main

import (
	"errors"
	"flag"
	"fmt"

	"github.com/adit-vpn/adit/conf"
)

// newFlags returns a flag set that prints to s and ends no process.
func newFlags(s streams, name, args, about string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(s.err)
	f.Usage = func() {
		fmt.Fprintf(s.err, "Usage: adit %s %s\n\n%s\n", name, args, about)
		f.PrintDefaults()
	}
	return f
}

// parse parses args. done says that there is nothing left to do: help was shown.
func parse(f *flag.FlagSet, args []string) (done bool, err error) {
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return true, nil
	case err != nil:
		return true, errUsage{err}
	}
	return false, nil
}

// given reports whether a flag was set.
func given(f *flag.FlagSet, name string) bool {
	set := false
	f.Visit(func(x *flag.Flag) { set = set || x.Name == name })
	return set
}

// parseOnlyFlags is parse for a command that takes no arguments.
func parseOnlyFlags(f *flag.FlagSet, args []string) (done bool, err error) {
	if done, err := parse(f, args); done {
		return true, err
	}
	if f.NArg() > 0 {
		return true, usagef("%s takes no arguments, but got %q: adit %s -h shows its flags", f.Name(), f.Arg(0), f.Name())
	}
	return false, nil
}

// socketFlag adds --socket.
func socketFlag(f *flag.FlagSet) *string {
	return f.String("socket", conf.Default().Admin.Socket, "the server's control socket (admin.socket)")
}

// fileFlag adds -c.
func fileFlag(f *flag.FlagSet) *string {
	return f.String("c", "", "configuration file; without it, "+defaultConfig+" if it exists; the environment (ADIT_…) overrides it")
}
