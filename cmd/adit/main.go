// Command adit is an L2TP-over-IPsec remote-access VPN server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

// Exit codes.
const (
	exitOK      = 0
	exitRuntime = 1
	exitUsage   = 2
)

// command is one subcommand. run returns the error that the user sees.
type command struct {
	name, args, short string
	run               func(ctx context.Context, io streams, args []string) error
}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func commands() []command {
	return []command{
		{"up", "[flags]", "write a configuration if there is none, say what to type into clients, and serve", runUp},
		{"serve", "[-c FILE]", "serve until SIGTERM; SIGHUP reloads", runServe},
		{"check", "[-c FILE] [-login NAME]", "check configuration and host, or one login, and change nothing", runCheck},
		{"status", "[--json] [--watch]", "show the live sessions", runStatus},
		{"disconnect", "USER|ADDRESS|--all", "end sessions", runDisconnect},
		{"link", "list|up|down|explain", "show links to other routers, bring them up and down", runLink},
		{"reload", "", "have the server read its configuration again", runReload},
		{"clients", "[-c FILE] [USER]", "say what to type into clients", runClients},
		{"user", "add|set|passwd|totp|del|list", "maintain local users", runUser},
		{"group", "add|set|del|list", "maintain groups of users", runGroup},
		{"cert", "ca|server|client|revoke|list", "make and revoke certificates for the server and its clients", runCert},
		{"version", "", "print the version", runVersion},
	}
}

// errUsage marks errors of the command line and the configuration.
type errUsage struct{ error }

func usagef(format string, args ...any) error { return errUsage{fmt.Errorf(format, args...)} }

func main() { os.Exit(process(os.Args[1:])) }

// process runs a command with what belongs to the process, and returns its exit
// code.
func process(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return run(ctx, streams{os.Stdin, os.Stdout, os.Stderr}, args)
}

func run(ctx context.Context, s streams, args []string) int {
	if len(args) == 0 {
		usage(s.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		if len(args) > 1 && args[0] == "help" {
			args = append(args[1:], "-h")
			break
		}
		usage(s.out)
		return exitOK
	case "-version", "--version":
		args = []string{"version"}
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		err := c.run(ctx, s, args[1:])
		if err == nil {
			return exitOK
		}
		app.WriteError(s.err, "adit: "+err.Error())
		var usage errUsage
		var wrong conf.Errors
		if errors.As(err, &usage) || errors.As(err, &wrong) {
			return exitUsage
		}
		return exitRuntime
	}
	fmt.Fprintf(s.err, "adit: unknown command %q: adit help lists them\n", args[0])
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "adit is an L2TP/IPsec VPN server for the clients that operating systems have built in.\n\nUsage: adit COMMAND\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-34s %s\n", c.name+" "+c.args, c.short)
	}
	fmt.Fprint(w, "\nadit COMMAND -h shows a command's flags. Exit codes: 0 fine, 1 failure, 2 usage or configuration.\n")
}
