package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/netip"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

// listedUser is a user as adit user list shows it: without what proves who the
// user is.
type listedUser struct {
	Name       string         `json:"name"`
	Address    netip.Addr     `json:"address,omitzero"`
	Address6   netip.Addr     `json:"address6,omitzero"`
	Prefix6    netip.Prefix   `json:"prefix6,omitzero"`
	Delegated6 netip.Prefix   `json:"delegated6,omitzero"`
	Group      string         `json:"group,omitempty"`
	DNS        []netip.Addr   `json:"dns,omitempty"`
	Routes     []netip.Prefix `json:"routes,omitempty"`
	Domain     string         `json:"domain,omitempty"`
	Interface  bool           `json:"interface,omitempty"`
	In         string         `json:"in"` // where the user stands
	Hash       bool           `json:"nt_hash,omitempty"`

	Has         map[string]string `json:"has,omitempty"` // of what groups have, too: keys and values, as in a configuration
	TOTP        bool              `json:"totp,omitempty"`
	Certificate bool              `json:"certificate,omitempty"`
	MustChange  bool              `json:"must_change,omitempty"`
}

func listed(x conf.User, in string) listedUser {
	return listedUser{
		Name: x.Name, Address: x.Address, Address6: x.Address6, Prefix6: x.Prefix6, Delegated6: x.Delegated6,
		Group: x.Group, DNS: x.DNS, Routes: x.Routes, Domain: x.Domain, Interface: x.Interface, In: in, Has: x.Settings(), Hash: x.NTHash.Len() > 0, TOTP: x.TOTP.Len() > 0, Certificate: x.Certificate, MustChange: x.MustChange,
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
		line := app.Cell(x.Name) + "\t" + addressText(x)
		if x.Group != "" || x.Interface {
			line += "\t" + app.Cell(x.Group)
		}
		if x.Interface {
			line += "\tinterface"
		}
		fmt.Fprintln(s.out, line)
	}
	for _, x := range u.conf.Users {
		own := ""
		if x.Interface {
			own = "interface\t"
		}
		fmt.Fprintf(s.out, "%s\t%s\t%s\t%sin %s\n", app.Cell(x.Name), addressText(x), app.Cell(x.Group), own, u.place())
	}
	if len(users)+len(u.conf.Users) == 0 {
		fmt.Fprintf(s.err, "no users in %s\n", u.file)
	}
	return nil
}

// addressText is a user's own address, "" without one.
func addressText(x conf.User) string {
	if !x.Address.IsValid() {
		return ""
	}
	return x.Address.String()
}

// jsonFlag adds --json.
func jsonFlag(f *flag.FlagSet) *bool { return f.Bool("json", false, "print JSON") }

func printJSON(w io.Writer, v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(app.EscapeJSON(text.Bytes()))
	return err
}
