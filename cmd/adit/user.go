package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

const userAbout = `Maintains the local users in users.toml of the state directory. A server that
runs takes a change over at once. Users of the configuration are listed, and
changed there. Passwords are read from the terminal, or from standard input if
it is none; they are never arguments.`

func runUser(ctx context.Context, s streams, args []string) error {
	return runVerb(ctx, s, "user", userAbout, []verb{
		{"add", "NAME", "add a user", "", userAdd},
		{"set", "NAME", "change what a user gets", "Only what a flag names changes; an empty value takes it away, as in -address \"\".", userSet},
		{"passwd", "NAME", "change a user's password", "", userPasswd},
		{"totp", "NAME", "ask a user for one-time codes, too", userTOTPAbout, userTOTP},
		{"del", "NAME", "delete a user", "", userDel},
		{"list", "[--json]", "list the users", "Those of the configuration are among them; passwords are not shown.", userList},
	}, args)
}

// userCommand is what all verbs of adit user need.
type userCommand struct{ *localCommand }

func newUserCommand(s streams, f *flag.FlagSet) userCommand {
	return userCommand{newLocalCommand(s, f)}
}

// place is where the configuration's users stand.
func (u userCommand) place() string {
	if u.conf.File == "" {
		return "the environment"
	}
	return u.conf.File + " or the environment"
}

func userAdd(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	u := newUserCommand(s, f)
	u.socket = changeSocketFlag(f)
	generate := generateFlag(f)
	set := settingsFlags(f)
	name, done, err := oneName(f, args)
	if done {
		return err
	}
	if strings.TrimSpace(name) == "" {
		return usagef("a user needs a name")
	}
	if err := u.open(); err != nil {
		return err
	}
	x := conf.User{Name: name}
	if err := u.apply(set, &x); err != nil {
		return err
	}
	if slices.ContainsFunc(u.conf.Users, named(name)) {
		return fmt.Errorf("user %q is in %s already", name, u.place())
	}
	there := fmt.Errorf("user %q is there already: adit user passwd changes the password, adit user set the rest", name)
	if users, err := conf.ReadUsers(u.file); err == nil && slices.ContainsFunc(users, named(name)) {
		return there
	}
	password, err := u.password(name, *generate)
	if err != nil {
		return err
	}
	if err := u.keep(&x, password, *generate); err != nil {
		return err
	}
	err = conf.EditUsers(u.file, func(users []conf.User) ([]conf.User, error) {
		if slices.ContainsFunc(users, named(name)) {
			return nil, there
		}
		return append(users, x), nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Added %s to %s. ", app.Word(name), u.file)
	u.live(ctx)
	u.tell(password, x, *generate)
	u.warn(x)
	return nil
}

// warn prints what adit check would say about a user's addresses. The server accepts them
// all the same.
func (u userCommand) warn(x conf.User) {
	for _, f := range u.addresses(x) {
		fmt.Fprintln(u.err, "Warning: "+f.What)
	}
}

// addresses returns adit check's findings about a user's addresses.
func (u userCommand) addresses(x conf.User) (list []app.Finding) {
	c := *u.conf
	if c.Network.Mode == conf.TUN {
		c.Users = []conf.User{x}
		list = app.CheckStatic(&c)
	}
	others, err := conf.ReadUsers(u.file)
	if err != nil {
		return list // whoever writes it says so
	}
	for _, other := range append(others, u.conf.Users...) {
		if other.Name != x.Name {
			c.Users = []conf.User{other, x}
			list = append(list, app.CheckOverlaps(&c)...)
		}
	}
	return list
}

func userSet(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	u := newUserCommand(s, f)
	u.socket = changeSocketFlag(f)
	set := settingsFlags(f)
	name, done, err := oneName(f, args)
	if done {
		return err
	}
	if !set.given() {
		return usagef("user set changes what its flags name, and there is none: adit user set -h shows them")
	}
	if err := u.open(); err != nil {
		return err
	}
	var changed conf.User
	err = u.edit(name, func(x *conf.User) (err error) {
		err = u.apply(set, x)
		changed = *x
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Changed %s in %s. ", app.Word(name), u.file)
	u.live(ctx)
	fmt.Fprintf(s.out, "It is for the next session; adit disconnect %s ends those that are up.\n", app.Word(name))
	u.warn(changed)
	return nil
}

func userPasswd(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	u := newUserCommand(s, f)
	u.socket = changeSocketFlag(f)
	generate := generateFlag(f)
	name, done, err := oneName(f, args)
	if done {
		return err
	}
	if err := u.open(); err != nil {
		return err
	}
	if err := u.check(name); err != nil {
		return err
	}
	password, err := u.password(name, *generate)
	if err != nil {
		return err
	}
	var changed conf.User
	err = u.edit(name, func(x *conf.User) error {
		err := u.keep(x, password, *generate)
		x.MustChange = false
		changed = *x
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Changed the password of %s in %s. ", app.Word(name), u.file)
	u.live(ctx)
	u.tell(password, changed, *generate)
	return nil
}

func userDel(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	u := newUserCommand(s, f)
	u.socket = changeSocketFlag(f)
	name, done, err := oneName(f, args)
	if done {
		return err
	}
	if err := u.open(); err != nil {
		return err
	}
	err = conf.EditUsers(u.file, func(users []conf.User) ([]conf.User, error) {
		i := slices.IndexFunc(users, named(name))
		if i < 0 {
			return nil, u.missing(name)
		}
		return slices.Delete(users, i, i+1), nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Deleted %s from %s. ", app.Word(name), u.file)
	u.live(ctx)
	fmt.Fprintf(s.out, "Sessions go on: adit disconnect %s ends them.\n", app.Word(name))
	return nil
}

// edit changes one user of the file.
func (u userCommand) edit(name string, change func(*conf.User) error) error {
	return conf.EditUsers(u.file, func(users []conf.User) ([]conf.User, error) {
		i := slices.IndexFunc(users, named(name))
		if i < 0 {
			return nil, u.missing(name)
		}
		return users, change(&users[i])
	})
}

// check fails if there is no such user, before a password is asked for.
func (u userCommand) check(name string) error {
	users, err := conf.ReadUsers(u.file)
	if err == nil && !slices.ContainsFunc(users, named(name)) {
		err = u.missing(name)
	}
	return err
}

func (u userCommand) missing(name string) error {
	if slices.ContainsFunc(u.conf.Users, named(name)) {
		return fmt.Errorf("user %q is in %s: change it there, then adit reload", name, u.place())
	}
	return fmt.Errorf("there is no user %q in %s: adit user list lists them", name, u.file)
}

func named(name string) func(conf.User) bool {
	return func(u conf.User) bool { return u.Name == name }
}
