package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/internal/app"
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
		fmt.Fprintf(w, "warning: %s\n", app.Prose(warning))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "USER\tADDRESS\tIPV6\tFROM\tCLIENT\tIKE\tESP\tAUTH\tGROUP\tRATES\tUP\tIN\tOUT")
	for _, x := range st.Sessions {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", app.Cell(x.User), app.Cell(x.Address), app.Word(ipv6(x)), app.Cell(x.Remote), clientName(x),
			app.Cell(x.IKE), app.Cell(packets(x)), app.Cell(x.Method), app.Cell(cmp.Or(x.UserGroup, "-")), rates(x), time.Since(x.Since).Truncate(time.Second), size(x.InOctets), size(x.OutOctets))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if a := st.Accounting; a != nil && a.Waiting > 0 {
		fmt.Fprintf(w, "accounting: %d records wait for a RADIUS server, %d of them refused\n", a.Waiting, a.SetAside)
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

// rates are the most that a session sends and receives.
func rates(x admin.Session) string {
	if x.Upload == 0 && x.Download == 0 {
		return "-"
	}
	return rate(x.Upload) + "/" + rate(x.Download)
}

// rate is a rate in a table, in the form that the configuration reads.
func rate(bits uint64) string {
	if bits == 0 {
		return "-"
	}
	for _, unit := range []struct {
		name string
		of   uint64
	}{{"G", 1e9}, {"M", 1e6}, {"k", 1e3}} {
		if bits >= unit.of {
			return strconv.FormatFloat(float64(bits)/float64(unit.of), 'f', -1, 64) + unit.name
		}
	}
	return strconv.FormatUint(bits, 10)
}

// packets is how a session's packets are protected and, if they are, compressed.
func packets(x admin.Session) string {
	if x.Compression == "" {
		return x.ESP
	}
	return x.ESP + " (" + x.Compression + ")"
}

// clientName is the client's kind and what it calls itself.
func clientName(x admin.Session) string {
	if x.HostName == "" {
		return app.Cell(x.Client)
	}
	return app.Cell(x.Client) + " (" + app.Cell(x.HostName) + ")"
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
