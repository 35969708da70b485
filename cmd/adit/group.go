package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

const groupAbout = `Maintains groups of users in users.toml of the state directory. A server that
runs takes a change over at once, for sessions that begin after it. Groups of the
configuration are listed, and changed there; so are pre-shared keys of groups.`

func runGroup(ctx context.Context, s streams, args []string) error {
	return runVerb(ctx, s, "group", groupAbout, []verb{
		{"add", "NAME", "add a group", "", groupAdd},
		{"set", "NAME", "change what users of a group get", "Only what a flag names changes; an empty value takes it away, as in -upload \"\".", groupSet},
		{"del", "NAME", "delete a group", "", groupDel},
		{"list", "[--json]", "list the groups", "Those of the configuration are among them.", groupList},
	}, args)
}

// groupCommand is what all verbs of adit group need.
type groupCommand struct{ *localCommand }

func newGroupCommand(s streams, f *flag.FlagSet) groupCommand {
	return groupCommand{newLocalCommand(s, f)}
}

// groupFlags are the flags that say what a group's users get.
func groupFlags(f *flag.FlagSet) map[string]*string {
	values := map[string]*string{}
	for _, x := range slices.Concat(allowanceNames, toldNames) {
		values[x.name] = f.String(x.name, "", x.about)
	}
	return values
}

// apply changes a group as the flags say, unless the server would refuse it.
func (g groupCommand) apply(f *flag.FlagSet, values map[string]*string, x *conf.Group) error {
	var errs []error
	for name, value := range values {
		if given(f, name) {
			errs = append(errs, x.Set(settingKey(name), *value))
		}
	}
	if err := errors.Join(append(errs, g.conf.CheckGroup(*x))...); err != nil {
		return errUsage{err}
	}
	return nil
}

func ofName(name string) func(conf.Group) bool {
	return func(g conf.Group) bool { return g.Name == name }
}

func groupAdd(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	return changeGroup(ctx, s, f, args, func(g groupCommand, name string, values map[string]*string, l *conf.Local) error {
		if strings.TrimSpace(name) == "" {
			return usagef("a group needs a name")
		}
		if slices.ContainsFunc(l.Groups, ofName(name)) || slices.ContainsFunc(g.conf.Groups, ofName(name)) {
			return fmt.Errorf("the group %q is there already: adit group set changes it, or the configuration", name)
		}
		x := conf.Group{Name: name}
		if err := g.apply(f, values, &x); err != nil {
			return err
		}
		l.Groups = append(l.Groups, x)
		return nil
	}, "Added %s to %s. ")
}

func groupSet(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	return changeGroup(ctx, s, f, args, func(g groupCommand, name string, values map[string]*string, l *conf.Local) error {
		some := false
		for flag := range values {
			some = some || given(f, flag)
		}
		if !some {
			return usagef("group set changes what its flags name, and there is none: adit group set -h shows them")
		}
		i := slices.IndexFunc(l.Groups, ofName(name))
		if i < 0 {
			return g.missing(name)
		}
		return g.apply(f, values, &l.Groups[i])
	}, "Changed %s in %s. ")
}

func groupDel(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	return changeGroup(ctx, s, f, args, func(g groupCommand, name string, _ map[string]*string, l *conf.Local) error {
		i := slices.IndexFunc(l.Groups, ofName(name))
		if i < 0 {
			return g.missing(name)
		}
		for _, u := range slices.Concat(l.Users, g.conf.Users) {
			if u.Group == name {
				return fmt.Errorf("the user %q is of the group %q: adit user set %s -group \"\" takes it out", u.Name, name, app.Word(u.Name))
			}
		}
		l.Groups = slices.Delete(l.Groups, i, i+1)
		return nil
	}, "Deleted %s from %s. ")
}

// changeGroup changes the groups of the file, and has the server that runs take it over.
func changeGroup(ctx context.Context, s streams, f *flag.FlagSet, args []string,
	change func(g groupCommand, name string, values map[string]*string, l *conf.Local) error, done string,
) error {
	g := newGroupCommand(s, f)
	g.socket = changeSocketFlag(f)
	var values map[string]*string
	if !strings.HasSuffix(f.Name(), "del") {
		values = groupFlags(f)
	}
	name, stop, err := oneName(f, args)
	if stop {
		return err
	}
	if err := g.open(); err != nil {
		return err
	}
	if err := conf.EditLocal(g.file, func(l *conf.Local) error { return change(g, name, values, l) }); err != nil {
		return err
	}
	fmt.Fprintf(s.out, done, app.Word(name), g.file)
	takeOver(ctx, s.out, g.conf, *g.socket, "group")
	return nil
}

func (g groupCommand) missing(name string) error {
	if slices.ContainsFunc(g.conf.Groups, ofName(name)) {
		return fmt.Errorf("the group %q is in %s: change it there, then adit reload", name, g.conf.File)
	}
	return fmt.Errorf("there is no group %q in %s: adit group list lists them", name, g.file)
}

// listedGroup is a group as adit group list shows it.
type listedGroup struct {
	Name string            `json:"name"`
	Has  map[string]string `json:"has,omitempty"` // keys and values, as in a configuration
	In   string            `json:"in"`            // where the group stands
}

func groupList(_ context.Context, s streams, f *flag.FlagSet, args []string) error {
	g := newGroupCommand(s, f)
	asJSON := jsonFlag(f)
	if done, err := noName(f, args); done {
		return err
	}
	if err := g.open(); err != nil {
		return err
	}
	l, err := conf.ReadLocal(g.file)
	if err != nil {
		return err
	}
	list := []listedGroup{}
	for _, x := range l.Groups {
		list = append(list, listedGroup{x.Name, x.Settings(), g.file})
	}
	for _, x := range g.conf.Groups {
		list = append(list, listedGroup{x.Name, x.Settings(), g.conf.File})
	}
	if *asJSON {
		return printJSON(s.out, list)
	}
	for _, x := range list {
		var has []string
		for key, value := range x.Has {
			has = append(has, key+" "+value)
		}
		slices.Sort(has)
		fmt.Fprintf(s.out, "%s\t%s\tin %s\n", app.Cell(x.Name), app.Prose(strings.Join(has, ", ")), x.In)
	}
	if len(list) == 0 {
		fmt.Fprintf(s.err, "no groups in %s\n", g.file)
	}
	return nil
}
