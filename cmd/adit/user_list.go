package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"github.com/adit-vpn/adit/conf"
)

// listedUser is a user as adit user list shows it: without what proves who the
// user is.
type listedUser struct {
	Name       string   `json:"name"`
	Address    string   `json:"address,omitempty"`
	Address6   string   `json:"address6,omitempty"`
	Prefix6    string   `json:"prefix6,omitempty"`
	Delegated6 string   `json:"delegated6,omitempty"`
	Group      string   `json:"group,omitempty"`
	DNS        []string `json:"dns,omitempty"`
	Routes     []string `json:"routes,omitempty"`
	Domain     string   `json:"domain,omitempty"`
	In         string   `json:"in"` // where the user stands
	Hash       bool     `json:"nt_hash,omitempty"`
}

func listed(x conf.User, in string) listedUser {
	return listedUser{
		Name: x.Name, Address: x.Address, Address6: x.Address6, Prefix6: x.Prefix6, Delegated6: x.Delegated6,
		Group: x.Group, DNS: x.DNS, Routes: x.Routes, Domain: x.Domain, In: in, Hash: x.NTHash.Len() > 0,
	}
}

func userList(_ context.Context, s streams, f *flag.FlagSet, args []string) error {
	u := newUserCommand(s, f)
	asJSON := jsonFlag(f)
	if done, err := noName(f, args); done {
		return err
	}
	if err := u.open(); err != nil {
		return err
	}
	users, err := conf.ReadUsers(u.file)
	if err != nil {
		return err
	}
	if *asJSON {
		list := []listedUser{}
		for _, x := range users {
			list = append(list, listed(x, u.file))
		}
		for _, x := range u.conf.Users {
			list = append(list, listed(x, u.place()))
		}
		return printJSON(s.out, list)
	}
	for _, x := range users {
		line := printable(x.Name) + "\t" + x.Address
		if x.Group != "" {
			line += "\t" + printable(x.Group)
		}
		fmt.Fprintln(s.out, line)
	}
	for _, x := range u.conf.Users {
		fmt.Fprintf(s.out, "%s\t%s\t%s\tin %s\n", printable(x.Name), x.Address, printable(x.Group), u.place())
	}
	if len(users)+len(u.conf.Users) == 0 {
		fmt.Fprintf(s.err, "no users in %s\n", u.file)
	}
	return nil
}

// jsonFlag adds --json.
func jsonFlag(f *flag.FlagSet) *bool { return f.Bool("json", false, "print JSON") }

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
