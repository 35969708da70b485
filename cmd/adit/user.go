package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/secret"
)

const userAbout = `Maintains the local users in users.toml of the state directory. A running
server takes the change over with adit reload. Passwords are read from the
terminal, or from standard input if it is none; they are never arguments.`

func runUser(_ context.Context, s streams, args []string) error {
	f := newFlags(s, "user", "add|del|passwd NAME, or list", userAbout)
	state := f.String("state", conf.Default().Server.StateDir, "state directory (server.state_dir)")
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
	file := filepath.Join(*state, conf.UsersFile)
	if verb == "list" {
		if len(names) > 0 {
			return usagef("user list takes no name")
		}
		return listUsers(s, file)
	}
	for flag, value := range map[string]string{"address": *address, "group": *group} {
		if value != "" && verb != "add" {
			return usagef("-%s goes with user add only", flag)
		}
	}
	if len(names) != 1 {
		return usagef("user %s takes one name", verb)
	}
	name := names[0]
	switch verb {
	case "add":
		return addUser(s, file, conf.User{Name: name, Address: *address, Group: *group})
	case "passwd":
		return changePassword(s, file, name)
	}
	return deleteUser(file, name)
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

func listUsers(s streams, file string) error {
	users, err := conf.ReadUsers(file)
	if err != nil {
		return err
	}
	for _, u := range users {
		line := printable(u.Name) + "\t" + u.Address
		if u.Group != "" {
			line += "\t" + printable(u.Group)
		}
		fmt.Fprintln(s.out, line)
	}
	if len(users) == 0 {
		fmt.Fprintf(s.err, "no users in %s; those of the configuration are not listed here\n", file)
	}
	return nil
}

func addUser(s streams, file string, u conf.User) (err error) {
	if strings.TrimSpace(u.Name) == "" {
		return usagef("a user needs a name")
	}
	if u.Address != "" {
		if a, err := netip.ParseAddr(u.Address); err != nil || !a.Is4() {
			return usagef("%q is not an IPv4 address", u.Address)
		}
	}
	if u.Password, err = askPassword(s, u.Name); err != nil {
		return err
	}
	return conf.EditUsers(file, func(users []conf.User) ([]conf.User, error) {
		if slices.ContainsFunc(users, named(u.Name)) {
			return nil, fmt.Errorf("user %q is there already: adit user passwd changes the password", u.Name)
		}
		return append(users, u), nil
	})
}

func changePassword(s streams, file, name string) error {
	password, err := askPassword(s, name)
	if err != nil {
		return err
	}
	return conf.EditUsers(file, func(users []conf.User) ([]conf.User, error) {
		i := slices.IndexFunc(users, named(name))
		if i < 0 {
			return nil, noUser(name, file)
		}
		users[i].Password, users[i].NTHash, users[i].PasswordFile = password, secret.Bytes{}, ""
		return users, nil
	})
}

func deleteUser(file, name string) error {
	return conf.EditUsers(file, func(users []conf.User) ([]conf.User, error) {
		i := slices.IndexFunc(users, named(name))
		if i < 0 {
			return nil, noUser(name, file)
		}
		return slices.Delete(users, i, i+1), nil
	})
}

func noUser(name, file string) error {
	return fmt.Errorf("there is no user %q in %s; a user of the configuration is changed there", name, file)
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
