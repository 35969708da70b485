package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

// verb is one of the verbs of a command, as add is of adit user: with flags and a
// help of its own.
type verb struct {
	name, args, short string
	about             string // more than short, for the help of the verb alone
	run               func(ctx context.Context, s streams, f *flag.FlagSet, args []string) error
}

// runVerb runs the verb that args begin with.
func runVerb(ctx context.Context, s streams, command, about string, verbs []verb, args []string) error {
	names := make([]string, len(verbs))
	for i, v := range verbs {
		names[i] = v.name
	}
	or := strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
	if len(args) == 0 {
		verbsUsage(s, command, about, verbs)
		return usagef("%s takes %s", command, or)
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		verbsUsage(s, command, about, verbs)
		return nil
	}
	for _, v := range verbs {
		if v.name == args[0] {
			text := strings.ToUpper(v.short[:1]) + v.short[1:] + "."
			if v.about != "" {
				text += "\n" + v.about
			}
			return v.run(ctx, s, newFlags(s, command+" "+v.name, v.args, text), args[1:])
		}
	}
	return usagef("%s takes %s, not %q", command, or, args[0])
}

func verbsUsage(s streams, command, about string, verbs []verb) {
	fmt.Fprintf(s.err, "Usage: adit %s VERB\n\n%s\n\n", command, about)
	for _, v := range verbs {
		fmt.Fprintf(s.err, "  %-22s %s\n", strings.TrimSpace(v.name+" "+v.args), v.short)
	}
	fmt.Fprintf(s.err, "\nadit %s VERB -h shows a verb's flags.\n", command)
}

// mixed parses flags that stand before or behind the arguments.
func mixed(f *flag.FlagSet, args []string) (rest []string, done bool, err error) {
	for {
		if done, err := parse(f, args); done {
			return nil, true, err
		}
		if f.NArg() == 0 {
			return rest, false, nil
		}
		rest, args = append(rest, f.Arg(0)), f.Args()[1:]
	}
}

// oneName is mixed for a verb that takes one name.
func oneName(f *flag.FlagSet, args []string) (name string, done bool, err error) {
	rest, done, err := mixed(f, args)
	if done {
		return "", true, err
	}
	if len(rest) != 1 {
		return "", true, usagef("%s takes one name: adit %s -h shows its flags", f.Name(), f.Name())
	}
	return rest[0], false, nil
}

// noName is mixed for a verb that takes none.
func noName(f *flag.FlagSet, args []string) (done bool, err error) {
	rest, done, err := mixed(f, args)
	if done {
		return true, err
	}
	if len(rest) > 0 {
		return true, usagef("%s takes no name, but got %q: adit %s -h shows its flags", f.Name(), rest[0], f.Name())
	}
	return false, nil
}
