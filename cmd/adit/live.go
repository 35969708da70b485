package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/admin"
)

// live has the server that runs take the users over, and says whether it did. It
// reads all of its configuration then: what else was changed there is said, too.
func (u *userCommand) live(ctx context.Context) {
	socket := *u.socket
	if socket == "" {
		socket = u.conf.Admin.Socket
	}
	if socket == "" {
		socket = conf.Default().Admin.Socket
	}
	r, err := admin.NewClient(socket).Reload(ctx)
	switch {
	case errors.Is(err, admin.ErrNoServer):
		fmt.Fprintf(u.out, "No server answers on %s: if one runs elsewhere, adit reload has it take this over.\n", socket)
	case err != nil:
		fmt.Fprintf(u.out, "The server that runs did not take it over:\n%v\nNext: mend that, and adit reload.\n", err)
	case u.conf.Auth.Backend == "radius":
		fmt.Fprintln(u.out, "It does nothing as long as auth.backend is \"radius\".")
	case !slices.Contains(r.Live, "user"):
		fmt.Fprintf(u.out, "The server on %s knew it already, or reads other users.\n", socket)
	default:
		fmt.Fprintln(u.out, "The server has taken it over.")
	}
	if others := slices.DeleteFunc(slices.Concat(r.Live, r.New), func(key string) bool { return key == "user" }); len(others) > 0 {
		fmt.Fprintf(u.out, "It has read its configuration again, where this has changed, too: %s.\n", strings.Join(others, ", "))
	}
}
