package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/admin"
)

// takeOver makes the running server apply what a command has changed, and says whether it
// did. key is its name in adit reload. The server reads all of its configuration then, so
// other keys that have changed are named, too.
func takeOver(ctx context.Context, w io.Writer, c *conf.Config, socket, key string) {
	socket = socketOf(socket, c)
	r, err := admin.NewClient(socket).Reload(ctx)
	now := slices.Concat(r.Live, r.New)
	nobody := errors.Is(err, admin.ErrNoServer)
	switch {
	case key == "user" && c.Auth.Backend == conf.BackendRadius && (err == nil || nobody):
		fmt.Fprintln(w, "It does nothing as long as auth.backend is \"radius\".")
	case nobody:
		fmt.Fprintf(w, "No server answers on %s: if one runs elsewhere, adit reload has it take this over.\n", socket)
	case err != nil:
		fmt.Fprintf(w, "The server that runs did not take it over:\n%v\nNext: mend that, and adit reload.\n", err)
	case !slices.Contains(now, key):
		fmt.Fprintf(w, "The server on %s knew it already, or reads other files.\n", socket)
	default:
		fmt.Fprintln(w, "The server has taken it over.")
	}
	if others := slices.DeleteFunc(now, func(k string) bool { return k == key }); len(others) > 0 {
		fmt.Fprintf(w, "It has read its configuration again, where this has changed, too: %s.\n", strings.Join(others, ", "))
	}
}

// live makes the server apply the users file.
func (u userCommand) live(ctx context.Context) {
	takeOver(ctx, u.out, u.conf, *u.socket, "user")
}
