package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

func runUp(ctx context.Context, s streams, args []string) error {
	f := newFlags(s, "up", "[flags]", "Writes a configuration with a random pre-shared key and a first user if there is none,\nsays what to type into clients, and serves.")
	state := f.String("state", conf.Default().Server.StateDir, "state directory; the configuration is adit.toml in it")
	public := f.String("public", "", "name or address that clients dial; needed behind NAT")
	user := f.String("user", "vpn", "name of the first user")
	if done, err := parseOnlyFlags(f, args); done {
		return err
	}
	file := filepath.Join(*state, upConfig)
	made, err := firstConfig(file, *state, *public, *user)
	if err != nil {
		return err
	}
	if !made && given(f, "user") {
		return usagef("-user names the first user of a new configuration, but %s is there: adit user add makes further ones", file)
	}
	load := func() (*conf.Config, error) {
		c, err := conf.Load(file, os.Environ())
		if err == nil && *public != "" {
			c.Server.Public = *public
		}
		return c, err
	}
	c, err := load()
	if err != nil {
		return err
	}
	instructions(s.out, c, file, made)
	if !made && *public != "" {
		fmt.Fprintf(s.out, "server.public is %s for as long as this runs; %s keeps what it says.\n\n", *public, file)
	}
	return app.Run(ctx, app.Options{Config: c, Load: load, Log: s.err, Version: version})
}

// firstConfig writes a configuration unless there is one, and reports whether
// it did.
func firstConfig(file, state, public, user string) (bool, error) {
	if _, err := os.Stat(file); err == nil {
		return false, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return false, fmt.Errorf("cannot make the state directory: %w", err)
	}
	text := fmt.Sprintf(`# Written by adit up. Every other key has a default: see docs/configuration.md.

[server]
state_dir = %q
public = %q

[ipsec]
psk = %q

[[user]]
name = %q
password = %q
`, state, public, random(24), user, random(12))
	if err := conf.WriteNew(file, []byte(text)); err != nil {
		return false, fmt.Errorf("cannot write the configuration: %w", err)
	}
	return true, nil
}

// random is a secret of 5 bits a character that people can type on a phone:
// lower-case letters and digits in groups of four.
func random(characters int) string {
	text := strings.ToLower(rand.Text())[:characters]
	var s strings.Builder
	for i, r := range text {
		if i > 0 && i%4 == 0 {
			s.WriteByte('-')
		}
		s.WriteRune(r)
	}
	return s.String()
}

// instructions says what to type into clients. Secrets are printed only to a
// terminal: what a container prints is kept in logs.
func instructions(w io.Writer, c *conf.Config, file string, made bool) {
	server := c.Server.Public
	if server == "" {
		server = strings.Join(localAddresses(), " or ")
	}
	psk, user, password := "the psk in "+file, "", "the password in "+file
	if len(c.Users) > 0 {
		user = c.Users[0].Name
	}
	if isTerminal(w) {
		if len(c.IPsec.PSK) > 0 {
			psk = string(c.IPsec.PSK[0].Reveal())
		}
		if len(c.Users) > 0 && c.Users[0].Password.Len() > 0 {
			password = string(c.Users[0].Password.Reveal())
		}
	}
	adit := "adit"
	if strings.ContainsRune(os.Args[0], filepath.Separator) {
		adit = os.Args[0] // not in PATH
	}
	addUser := adit + " user add NAME"
	if c.Server.StateDir != conf.Default().Server.StateDir {
		addUser = adit + " user add -state " + c.Server.StateDir + " NAME"
	}
	if made {
		fmt.Fprintf(w, "A configuration with a random pre-shared key and a first user is in %s.\n", file)
	}
	fmt.Fprintf(w, `
What clients need
  server          %s
  pre-shared key  %s
  user            %s
  password        %s

Windows   Settings > Network > VPN > Add: "L2TP/IPsec with pre-shared key"
macOS     System Settings > VPN > Add > L2TP over IPSec: Shared Secret is the pre-shared key
iOS       Settings > General > VPN > Add > L2TP: Secret is the pre-shared key, "Send All Traffic" on
Android   up to 11: Settings > VPN > Add: "L2TP/IPSec PSK"; 12 and newer have no L2TP
Linux     NetworkManager with network-manager-l2tp, or strongSwan and xl2tpd

More users: %s
and then:   %s reload

`, server, psk, user, password, addUser, adit)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// localAddresses are this host's IPv4 addresses that others may reach.
func localAddresses() []string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return []string{"this host's address"}
	}
	var list []string
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			list = append(list, n.IP.String())
		}
	}
	if list == nil {
		return []string{"this host's address"}
	}
	return list
}
