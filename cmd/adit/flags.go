package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/adit-vpn/adit/conf"
)

// newFlags returns a flag set that prints to s and ends no process.
func newFlags(s streams, name, args, about string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(s.err)
	f.Usage = func() {
		fmt.Fprintf(s.err, "Usage: %s\n\n%s\n", strings.TrimSpace("adit "+name+" "+args), about)
		f.PrintDefaults()
	}
	return f
}

// parse parses args. done says that there is nothing left to do: help was shown.
// A mistyped flag is named without the whole help, in which the error would be lost.
func parse(f *flag.FlagSet, args []string) (done bool, err error) {
	help, out := f.Usage, f.Output()
	f.Usage = func() {}
	f.SetOutput(io.Discard)
	err = f.Parse(args)
	f.Usage = help
	f.SetOutput(out)
	switch {
	case errors.Is(err, flag.ErrHelp):
		help()
		return true, nil
	case err != nil:
		return true, usagef("%w: adit %s -h shows the flags", err, f.Name())
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
		hint := ""
		if f.Lookup("c") != nil {
			hint = "is it a file, as in -c " + f.Arg(0) + "? "
		}
		return true, usagef("%s takes no arguments, but got %q: %sadit %s -h shows its flags", f.Name(), f.Arg(0), hint, f.Name())
	}
	return false, nil
}

// socketAbout says which control socket is used without --socket.
var socketAbout = "; without it, admin.socket of the configuration, by default " + conf.Default().Admin.Socket

// socketFlag adds --socket. The returned function, for after parsing, gives the
// path: that of the configuration which a server here would read, if none is given.
func socketFlag(f *flag.FlagSet) func() string {
	socket := f.String("socket", "", "the server's control socket"+socketAbout)
	return func() string {
		c, err := conf.Peek(findConfig(""), os.Environ())
		if err != nil { // it does not matter, as long as the server answers
			c = conf.Default()
		}
		return socketOf(*socket, c)
	}
}

// changeSocketFlag adds -socket to a command that changes what a server reads.
func changeSocketFlag(f *flag.FlagSet) *string {
	return f.String("socket", "", "control socket of the server that is to take the change over"+socketAbout)
}

// socketOf is the control socket that is given, or else that of a configuration.
func socketOf(given string, c *conf.Config) string {
	return cmp.Or(given, c.Admin.Socket, conf.Default().Admin.Socket)
}

// fileFlag adds -c; fallback says what is read without it.
func fileFlag(f *flag.FlagSet, fallback string) *string {
	return f.String("c", "", "configuration file; without it, "+fallback+"; the environment (ADIT_…) overrides it")
}

// found is what findConfig finds, in words.
var found = defaultConfig + ", or else the " + upConfig + " that adit up wrote into " + conf.Default().Server.StateDir

// stateFlags add -state, and -c, of commands that maintain files in the state
// directory. The returned function, for after parsing, gives the directory and
// the configuration, as far as there is one.
func stateFlags(f *flag.FlagSet, environ []string) func() (dir string, c *conf.Config, err error) {
	state := f.String("state", "", "state directory; without it, server.state_dir of the configuration, by default "+conf.Default().Server.StateDir)
	file := fileFlag(f, found)
	return func() (string, *conf.Config, error) {
		if *file == "" {
			*file = findConfig(*state)
		}
		c, err := conf.Peek(*file, environ)
		switch {
		case err != nil && *state != "" && !given(f, "c"):
			return *state, &conf.Config{}, nil // the directory is known, and that is enough
		case err != nil:
			return "", nil, err
		case *state != "":
			return *state, c, nil
		}
		return c.Server.StateDir, c, nil
	}
}
