package main

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/adit-vpn/adit/internal/admin"
)

func runStatus(ctx context.Context, s streams, args []string) error {
	f := newFlags(s, "status", "[--json] [--watch]", "Shows the live sessions of the server on this host.")
	socket := socketFlag(f)
	asJSON := jsonFlag(f)
	watch := f.Bool("watch", false, "print again every two seconds")
	if done, err := parseOnlyFlags(f, args); done {
		return err
	}
	client := admin.NewClient(socket())
	for {
		st, err := client.Status(ctx)
		if err != nil {
			return err
		}
		if *watch && !*asJSON {
			fmt.Fprint(s.out, "\x1b[H\x1b[2J")
		}
		if err := printStatus(s.out, st, *asJSON); err != nil || !*watch {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(2 * time.Second):
		}
	}
}

func printStatus(w io.Writer, st admin.Status, asJSON bool) error {
	sort.Slice(st.Sessions, func(i, j int) bool { return st.Sessions[i].Since.Before(st.Sessions[j].Since) })
	if asJSON {
		return printJSON(w, st)
	}
	for _, warning := range st.Warnings {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "USER\tADDRESS\tIPV6\tFROM\tCLIENT\tIKE\tESP\tAUTH\tUP\tIN\tOUT")
	for _, x := range st.Sessions {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(x.User), x.Address, ipv6(x), x.Remote, clientName(x),
			x.IKE, x.ESP, x.Method, time.Since(x.Since).Truncate(time.Second), size(x.InOctets), size(x.OutOctets))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	plural := "s"
	if len(st.Sessions) == 1 {
		plural = ""
	}
	_, err := fmt.Fprintf(w, "%d session%s; %d unauthenticated, %d half open; up since %s\n",
		len(st.Sessions), plural, st.Strangers, st.HalfOpen, st.Since.Format(time.DateTime))
	return err
}

// ipv6 is what a session was given of IPv6.
func ipv6(x admin.Session) string {
	if len(x.IPv6) == 0 {
		return "-"
	}
	return strings.Join(x.IPv6, ",")
}

// clientName is the client's kind and what it calls itself.
func clientName(x admin.Session) string {
	if x.HostName == "" {
		return x.Client
	}
	return x.Client + " (" + printable(x.HostName) + ")"
}

// printable makes a string from a peer harmless for a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return '?'
		}
		return r
	}, s)
}

// size prints octets as people do.
func size(n uint64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n), -1
	for f >= unit && i < 5 {
		f /= unit
		i++
	}
	return fmt.Sprintf("%.1f %cB", f, "kMGTPE"[i])
}
