package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

func runClients(_ context.Context, s streams, args []string) error {
	f := newFlags(s, "clients", "[-c FILE] [USER]", "Says what to type into clients, for the first user or the one that is named.\nThe pre-shared key and the password are printed to a terminal only.")
	file := fileFlag(f, found)
	names, done, err := mixed(f, args)
	if done {
		return err
	}
	if len(names) > 1 {
		return usagef("clients takes one user")
	}
	if *file == "" {
		*file = findConfig("")
	}
	c, err := conf.Load(*file, os.Environ())
	if err != nil {
		return err
	}
	return instruct(s.out, c, strings.Join(names, ""))
}

// needs are what somebody types into a client.
type needs struct {
	server, psk, user, password string
	note                        string // about server
	kind                        string // what proves the server, in the words of Windows
	command                     string // for PowerShell
}

// instruct says what to type into clients, for a user or, if name is empty, the
// first one.
func instruct(w io.Writer, c *conf.Config, name string) error {
	n, err := needsOf(c, name, isTerminal(w))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, `What clients need
  server          %s
  pre-shared key  %s
  user            %s
  password        %s

UDP ports 500 and 4500 must reach this host: let both through its firewall, and
where it is behind NAT, have the router forward both to it.
%s
Windows   Settings > Network & internet > VPN > Add
            VPN type "L2TP/IPsec with %s", sign-in "User name and password"
          or in PowerShell, and the user and the password at the first connect:
            %s
macOS     System Settings > VPN > Add VPN Configuration > L2TP over IPSec
            "Shared Secret" is the pre-shared key; Options > "Send all traffic over VPN connection"
iOS       Settings > General > VPN & Device Management > VPN > Add > L2TP
            "Secret" is the pre-shared key, "Send All Traffic" on
Android   up to 11: Settings > Network > VPN > Add, type "L2TP/IPSec PSK"; 12 and newer have no L2TP
Linux     NetworkManager with network-manager-l2tp, or strongSwan and xl2tpd

More users      %s
All this again  %s

`, n.server, n.psk, n.user, n.password, n.note, n.kind, n.command, usual("user add -generate NAME", c), usual("clients", c))
	return nil
}

// needsOf gathers what a user types. Secrets are shown only if reveal is set:
// what a container prints is kept in logs.
func needsOf(c *conf.Config, name string, reveal bool) (needs, error) {
	n := needs{kind: "certificate", user: name, psk: "none: clients have certificates, which adit cert client makes", password: "the user's"}
	n.server, n.note = dialled(c)
	var user conf.User
	i := slices.IndexFunc(c.Users, func(u conf.User) bool { return name == "" || u.Name == name })
	switch {
	case c.Auth.Backend != conf.BackendLocal:
		if name == "" {
			n.user = "one that the RADIUS server knows"
		}
	case i < 0:
		return n, fmt.Errorf("there is no user %q: adit user list lists them", name)
	default:
		user = c.Users[i]
		n.user, n.password = app.Word(user.Name), "known to the user: only its hash is here"
	}
	psk := ""
	if key, where := keyOf(c, user.Group); where != "" {
		n.kind, n.psk, psk = "pre-shared key", where, "THE KEY"
		if reveal {
			n.psk, psk = key, key
		}
	}
	if user.Password.Len() > 0 {
		n.password = "the password in " + userSource(c, user.Name)
		if reveal {
			n.password = string(user.Password.Reveal())
		}
	}
	n.command = powerShell(n.server, psk, c.Auth.Methods)
	return n, nil
}

// quotes doubles quotation marks for PowerShell, which takes curly ones for
// straight ones.
var quotes = strings.NewReplacer("'", "''", "‘", "‘‘", "’", "’’", "‚", "‚‚", "‛", "‛‛")

// powerShell is the command that adds the connection to Windows. Without a key a
// certificate of the computer's proves it. Only MS-CHAP v2 goes with encryption that
// is required; IPsec encrypts whatever that says.
func powerShell(server, psk string, methods []conf.Method) string {
	if psk != "" {
		psk = " -L2tpPsk '" + quotes.Replace(psk) + "'"
	}
	auth := " -AuthenticationMethod MSChapv2 -EncryptionLevel Required"
	switch {
	case slices.Contains(methods, conf.MSCHAPv2):
	case slices.Contains(methods, conf.CHAP):
		auth = " -AuthenticationMethod Chap -EncryptionLevel Optional"
	case slices.Contains(methods, conf.PAP):
		auth = " -AuthenticationMethod Pap -EncryptionLevel Optional"
	}
	return "Add-VpnConnection -Name 'VPN' -ServerAddress '" + server + "' -TunnelType L2tp" + psk + auth + " -RememberCredential -Force"
}

// keyOf is the pre-shared key for users of a group, and where it stands; "" if
// there is none. A group's own comes first: it admits nobody else.
func keyOf(c *conf.Config, group string) (key, where string) {
	own := func(g conf.Group) bool { return g.Name == group && len(g.PSK) > 0 }
	if len(c.IPsec.PSK) > 0 && !slices.ContainsFunc(c.Groups, own) {
		return string(c.IPsec.PSK[0].Reveal()), "the psk in " + source(c)
	}
	for _, g := range c.Groups {
		if len(g.PSK) > 0 && (g.Name == group || group == "") {
			return string(g.PSK[0].Reveal()), "the psk of the [[group]] " + app.Word(g.Name) + " in " + source(c)
		}
	}
	return "", ""
}

// userSource is where a user stands: in users.toml, or with the configuration.
func userSource(c *conf.Config, name string) string {
	file := filepath.Join(c.Server.StateDir, conf.UsersFile)
	if users, err := conf.ReadUsers(file); err == nil && slices.ContainsFunc(users, named(name)) {
		return file
	}
	return source(c)
}

// source is where the configuration stands.
func source(c *conf.Config) string {
	if c.File == "" {
		return "the environment"
	}
	return c.File
}

// dialled is what clients dial: server.public, or this host's own address, with a note
// about it.
func dialled(c *conf.Config) (server, note string) {
	if c.Server.Public.IsValid() {
		return c.Server.Public.String(), ""
	}
	own, err := app.Outward(c)
	switch {
	case err != nil || !own.IsValid():
		return "this host's name or address", ""
	case isPrivate(own):
		note = fmt.Sprintf("%v is a private address: clients on the Internet dial the router's, or its name. Set server.public to that.\n", own)
	}
	return own.String(), note
}

// isPrivate reports whether an address is reached from inside only: RFC 1918, RFC
// 4193, RFC 6598.
func isPrivate(a netip.Addr) bool {
	return a.IsPrivate() || netip.MustParsePrefix("100.64.0.0/10").Contains(a)
}

// usual is a command line about a configuration, with -c where the command would
// not find it by itself.
func usual(command string, c *conf.Config) string {
	adit := "adit"
	if strings.ContainsRune(os.Args[0], filepath.Separator) {
		adit = os.Args[0] // not in PATH
	}
	if c.File != "" && c.File != findConfig("") {
		command += " -c " + c.File
	}
	return adit + " " + command
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
