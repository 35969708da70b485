package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/adit-vpn/adit/internal/admin"
)

func runDisconnect(ctx context.Context, s streams, args []string) error {
	f := newFlags(s, "disconnect", "USER|ADDRESS|--all", "Ends every session of a user, the one that has an address inside the tunnel, or all.")
	socket := socketFlag(f)
	all := f.Bool("all", false, "everybody")
	connection := f.Uint64("connection", 0, "number of a connection, as status --json shows it")
	if done, err := parse(f, args); done {
		return err
	}
	sel := admin.Selector{All: *all, Connection: *connection}
	switch {
	case f.NArg() > 1, f.NArg() == 1 && (*all || *connection != 0):
		return usagef("disconnect takes one user, one address, --connection or --all")
	case f.NArg() == 1:
		if _, err := netip.ParseAddr(f.Arg(0)); err == nil {
			sel.Address = f.Arg(0)
		} else {
			sel.User = f.Arg(0)
		}
	case sel == (admin.Selector{}):
		return usagef("disconnect whom? Name a user or an address, or give --all")
	}
	n, err := admin.NewClient(socket()).Disconnect(ctx, sel)
	if err != nil {
		return err
	}
	if n == 0 {
		return nobody(sel)
	}
	_, err = fmt.Fprintf(s.out, "%d disconnected\n", n)
	return err
}

// nobody is the error for a selector that matches no session.
func nobody(sel admin.Selector) error {
	switch {
	case sel.All:
		return errors.New("nobody is connected: nothing was done")
	case sel.User != "":
		return fmt.Errorf("no session of user %q: adit status lists them", sel.User)
	case sel.Address != "":
		return fmt.Errorf("no session has the address %s inside: adit status lists them", sel.Address)
	}
	return fmt.Errorf("no connection %d: adit status --json lists them", sel.Connection)
}
