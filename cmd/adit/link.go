package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/internal/app"
)

// linkAbout is the help of adit link.
const linkAbout = "Shows the links to other routers, [[link]] in the configuration, of the server on this host, and brings them up and down. docs/links.md has more."

func runLink(ctx context.Context, s streams, args []string) error {
	return runVerb(ctx, s, "link", linkAbout, []verb{
		{"list", "[--json]", "list the links", "", linkList},
		{"up", "NAME", "dial a link now", "Calls of the other end are admitted again, if the link was held down.", linkUp},
		{"down", "NAME", "end a link, and hold it down", "Nobody dials it, and no call for it is admitted, until adit link up or a restart of the server.", linkDown},
		{"explain", "NAME", "say what a link does, and why", "", linkExplain},
	}, args)
}

func linkList(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	socket, asJSON := socketFlag(f), jsonFlag(f)
	if done, err := noName(f, args); done {
		return err
	}
	list, err := admin.NewClient(socket()).Links(ctx)
	if err != nil {
		return err
	}
	if *asJSON {
		return printJSON(s.out, admin.Links{Links: list})
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(s.out, "There is no link: docs/links.md shows how one is made.")
		return err
	}
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tDEVICE\tSTATE\tSINCE\tDIALLED BY\tLOCAL\tPEER\tROUTES\tIN\tOUT\tLAST ERROR")
	for _, l := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Name, l.Device, l.State, ago(l.Since), dash(l.DialledBy), dash(l.Local), dash(l.Peer),
			dash(strings.Join(l.Routes, ",")), size(l.InOctets), size(l.OutOctets), dash(app.Prose(l.Error)))
	}
	return t.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// ago is how long ago something was.
func ago(t time.Time) string { return time.Since(t).Truncate(time.Second).String() }

func linkUp(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	return orderLink(ctx, s, f, args, true, "%s is dialled: adit link explain %[1]s says how that goes.\n")
}

func linkDown(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	return orderLink(ctx, s, f, args, false, "%s goes down, and stays down until adit link up %[1]s, or a restart.\n")
}

func orderLink(ctx context.Context, s streams, f *flag.FlagSet, args []string, up bool, text string) error {
	socket := socketFlag(f)
	name, done, err := oneName(f, args)
	if done {
		return err
	}
	if err := admin.NewClient(socket()).OrderLink(ctx, admin.LinkOrder{Name: name, Up: up}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, text, name)
	return err
}

func linkExplain(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	socket := socketFlag(f)
	name, done, err := oneName(f, args)
	if done {
		return err
	}
	list, err := admin.NewClient(socket()).Links(ctx)
	if err != nil {
		return err
	}
	for _, l := range list {
		if l.Name == name {
			return explainLink(s.out, l)
		}
	}
	return fmt.Errorf("no link %q: adit link list shows them", name)
}

// explainLink says what a link does, in sentences.
func explainLink(w io.Writer, l admin.Link) error {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("%s has been %s for %s.", l.Name, l.State, ago(l.Since))
	switch l.DialledBy {
	case "us":
		say("This end has dialled it.")
	case "peer":
		say("The other end has dialled it.")
	}
	switch l.PeerAuth {
	case "":
	case "none":
		say("The other end has not authenticated itself by a name of its own (peer_auth).")
	default:
		say("The other end has authenticated itself by %s.", l.PeerAuth)
	}
	if l.State == "up" {
		say("Its addresses are %s here and %s there; its largest packet has %d bytes.", or(l.Local, "none"), or(l.Peer, "none"), l.MTU)
	}
	if l.State == "held down" {
		say("It is not dialled until adit link up %s, or a restart.", l.Name)
	} else {
		say("%s", map[string]string{
			"always": "It is dialled whenever it is down.", "demand": "It is dialled when a packet wants to go there.", "never": "It is not dialled: the other end calls.",
		}[l.Dial])
	}
	if len(l.Remotes) > 0 && l.Dial != "never" && l.State != "held down" {
		say("What is dialled: %s.", strings.Join(l.Remotes, ", "))
	}
	if l.Next != nil && l.State == "waiting" {
		say("The next call is at %s%s.", l.Next.Local().Format(time.TimeOnly), afterTries(l.Tries))
	}
	if l.Next != nil && l.State == "outside its hours" {
		say("Its hours begin at %s.", l.Next.Local().Format(time.DateTime))
	}
	if !l.Admits {
		say("A call of the other end is refused now.")
	}
	if len(l.Routes) > 0 {
		say("Behind it: %s, by the device %s with metric %d.", strings.Join(l.Routes, ", "), l.Device, l.Metric)
		say("%s", map[string]string{
			"hold": "While it is down, some packets wait for it, and others are dropped.", "blackhole": "While it is down, packets for them are dropped.",
			"withdraw": "While it is down, this host's other routes take packets for them.",
		}[l.WhenDown])
	}
	if l.Error != "" && l.ErrorAt != nil {
		say("The last call ended or failed %s ago: %s.", ago(*l.ErrorAt), app.Prose(l.Error))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// afterTries says how many calls have failed, "" if none has.
func afterTries(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", after %d that failed", n)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
