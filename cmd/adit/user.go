package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/secret"
)

const userAbout = `Maintains the local users in users.toml of the state directory. A running
server takes the change over with adit reload. Users of the configuration are
listed, and changed there. Passwords are read from the
terminal, or from standard input if it is none; they are never arguments.`

func runUser(_ context.Context, s streams, args []string) error {
	f := newFlags(s, "user", "add|del|passwd NAME, or list", userAbout)
	where := stateFlags(f, os.Environ())
	address := f.String("address", "", "with add: a static address")
	group := f.String("group", "", "with add: the name of the user's [[group]]")
	if len(args) == 0 {
		f.Usage()
		return usagef("user takes add, del, passwd or list")
	}
	verb := args[0]
	if verb == "-h" || verb == "--help" {
		f.Usage()
		return nil
	}
	if !slices.Contains([]string{"add", "del", "passwd", "list"}, verb) {
		return usagef("user takes add, del, passwd or list, not %q", verb)
	}
	names, done, err := mixed(f, args[1:])
	if done {
		return err
	}
	if verb == "list" && len(names) > 0 {
		return usagef("user list takes no name")
	}
	for flag, value := range map[string]string{"address": *address, "group": *group} {
		if value != "" && verb != "add" {
			return usagef("-%s goes with user add only", flag)
		}
	}
	if verb != "list" && len(names) != 1 {
		return usagef("user %s takes one name", verb)
	}
	state, c, err := where()
	if err != nil {
		return err
	}
	u := userCommand{streams: s, file: filepath.Join(state, conf.UsersFile), conf: c}
	what := ""
	switch verb {
	case "list":
		return u.list()
	case "add":
		what, err = "Added %s to", u.add(conf.User{Name: names[0], Address: *address, Group: *group})
	case "passwd":
		what, err = "Changed the password of %s in", u.changePassword(names[0])
	case "del":
		what, err = "Deleted %s from", u.delete(names[0])
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, what+" %s. Next: adit reload, if the server runs.\n", printable(names[0]), u.file)
	if verb == "del" {
		fmt.Fprintf(s.out, "Sessions go on: adit disconnect %s ends them.\n", printable(names[0]))
	}
	return nil
}

// userCommand is what the verbs of adit user have in common.
type userCommand struct {
	streams
	file string       // users.toml
	conf *conf.Config // its users stand elsewhere than in file
}

// place is where the configuration's users stand.
func (u *userCommand) place() string {
	if u.conf.File == "" {
		return "the environment"
	}
	return u.conf.File + " or the environment"
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

func (u *userCommand) list() error {
	users, err := conf.ReadUsers(u.file)
	if err != nil {
		return err
	}
	for _, x := range users {
		line := printable(x.Name) + "\t" + x.Address
		if x.Group != "" {
			line += "\t" + printable(x.Group)
		}
		fmt.Fprintln(u.out, line)
	}
	for _, x := range u.conf.Users {
		fmt.Fprintf(u.out, "%s\t%s\t%s\tin %s\n", printable(x.Name), x.Address, printable(x.Group), u.place())
	}
	if len(users)+len(u.conf.Users) == 0 {
		fmt.Fprintf(u.err, "no users in %s\n", u.file)
	}
	return nil
}

func (u *userCommand) add(x conf.User) (err error) {
	if strings.TrimSpace(x.Name) == "" {
		return usagef("a user needs a name")
	}
	if x.Address != "" {
		if err := u.conf.CheckAddress(x.Address); err != nil {
			return usagef("%v", err)
		}
	}
	if slices.ContainsFunc(u.conf.Users, named(x.Name)) {
		return fmt.Errorf("user %q is in %s already", x.Name, u.place())
	}
	if err := checkGroup(u.conf, x.Group); err != nil {
		return err
	}
	if x.Password, err = askPassword(u.streams, x.Name); err != nil {
		return err
	}
	return conf.EditUsers(u.file, func(users []conf.User) ([]conf.User, error) {
		if slices.ContainsFunc(users, named(x.Name)) {
			return nil, fmt.Errorf("user %q is there already: adit user passwd changes the password", x.Name)
		}
		return append(users, x), nil
	})
}

// checkGroup fails for a group that the configuration, if there is one, does
// not have: the server would refuse users.toml with it, and ignore it in a
// certificate.
func checkGroup(c *conf.Config, name string) error {
	if name == "" || c.File == "" {
		return nil
	}
	names := make([]string, len(c.Groups))
	for i, g := range c.Groups {
		names[i] = strconv.Quote(g.Name)
	}
	switch {
	case slices.Contains(names, strconv.Quote(name)):
		return nil
	case len(names) == 0:
		return fmt.Errorf("there is no [[group]] %q in %s: there is none at all", name, c.File)
	}
	return fmt.Errorf("there is no [[group]] %q in %s: there are %s", name, c.File, strings.Join(names, ", "))
}

func (u *userCommand) changePassword(name string) error {
	if err := u.check(name); err != nil {
		return err
	}
	password, err := askPassword(u.streams, name)
	if err != nil {
		return err
	}
	return conf.EditUsers(u.file, func(users []conf.User) ([]conf.User, error) {
		i := slices.IndexFunc(users, named(name))
		if i < 0 {
			return nil, u.missing(name)
		}
		users[i].Password, users[i].NTHash, users[i].PasswordFile = password, secret.Bytes{}, ""
		return users, nil
	})
}

// check fails if there is no such user, before a password is asked for.
func (u *userCommand) check(name string) error {
	users, err := conf.ReadUsers(u.file)
	if err == nil && !slices.ContainsFunc(users, named(name)) {
		err = u.missing(name)
	}
	return err
}

func (u *userCommand) delete(name string) error {
	return conf.EditUsers(u.file, func(users []conf.User) ([]conf.User, error) {
		i := slices.IndexFunc(users, named(name))
		if i < 0 {
			return nil, u.missing(name)
		}
		return slices.Delete(users, i, i+1), nil
	})
}

func (u *userCommand) missing(name string) error {
	if slices.ContainsFunc(u.conf.Users, named(name)) {
		return fmt.Errorf("user %q is in %s: change it there, then adit reload", name, u.place())
	}
	return fmt.Errorf("there is no user %q in %s: adit user list lists them", name, u.file)
}

func named(name string) func(conf.User) bool {
	return func(u conf.User) bool { return u.Name == name }
}

// askPassword reads a password twice from a terminal, or one line from
// anything else.
func askPassword(s streams, name string) (secret.Bytes, error) {
	if f, ok := s.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(s.err, "Password for %s: ", printable(name))
		first, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprint(s.err, "\nAgain: ")
		if err != nil {
			return secret.Bytes{}, err
		}
		second, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(s.err)
		switch {
		case err != nil:
			return secret.Bytes{}, err
		case string(first) != string(second):
			return secret.Bytes{}, errors.New("the two passwords differ; nothing was changed")
		case len(first) == 0:
			return secret.Bytes{}, errors.New("the password is empty; nothing was changed")
		}
		return secret.New(first), nil
	}
	line, err := bufio.NewReader(s.in).ReadString('\n')
	password := strings.TrimRight(line, "\r\n")
	if password == "" {
		return secret.Bytes{}, fmt.Errorf("no password on standard input (%w); nothing was changed", errOr(err))
	}
	return secret.String(password), nil
}

func errOr(err error) error {
	if err != nil {
		return err
	}
	return errors.New("an empty line")
}
