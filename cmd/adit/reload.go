package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/adit-vpn/adit/internal/admin"
)

func runReload(ctx context.Context, s streams, args []string) error {
	f := newFlags(s, "reload", "", "Has the server read its configuration again. A configuration that is wrong changes nothing.")
	socket := socketFlag(f)
	if done, err := parseOnlyFlags(f, args); done {
		return err
	}
	r, err := admin.NewClient(socket()).Reload(ctx)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		what string
		keys []string
	}{{"applied", r.Live}, {"applied to new connections", r.New}, {"wait for a restart", r.Restart}} {
		if len(part.keys) > 0 {
			fmt.Fprintf(s.out, "%s: %s\n", part.what, strings.Join(part.keys, ", "))
		}
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(s.err, "Warning: "+w)
	}
	if len(r.Failed) > 0 {
		return fmt.Errorf("the new configuration is in force, and this could not be done: %s", strings.Join(r.Failed, "; "))
	}
	if len(r.Live)+len(r.New)+len(r.Restart) == 0 {
		fmt.Fprintln(s.out, "nothing changed")
	}
	return nil
}
