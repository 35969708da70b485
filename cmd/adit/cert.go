package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
	"github.com/adit-vpn/adit/internal/pki"
	"github.com/adit-vpn/adit/internal/secret"
)

const certAbout = `Runs a small certificate authority, for VPN clients that are to prove
themselves by certificates instead of a pre-shared key. Its files are in the
directory pki of the state directory.`

func runCert(ctx context.Context, s streams, args []string) error {
	return runVerb(ctx, s, "cert", certAbout, []verb{
		{"ca", "", "make the CA", "", certCA},
		{"server", "NAME...", "issue the server's certificate", "NAME are the names and addresses that clients dial.", certServer},
		{"client", "NAME", "issue a client's certificate", "NAME.p12 is for Windows, Android and Linux, NAME.mobileconfig for macOS and iOS.", certClient},
		{"revoke", "NAME|SERIAL", "put a client's certificates on the revocation list", "", certRevoke},
		{"list", "[--json]", "show what was issued", "", certList},
	}, args)
}

// certCommand is what all verbs of adit cert need.
type certCommand struct {
	streams
	where func() (string, *conf.Config, error)
	conf  *conf.Config
	dir   string
	name  string // of the CA
	key   pki.KeyType
	vpn   string // the server's name, for profiles
	user  string
	group string
	split bool
	dest  string
	now   time.Time
}

// newCertCommand adds the flags that all verbs have.
func newCertCommand(s streams, f *flag.FlagSet) *certCommand {
	return &certCommand{streams: s, where: stateFlags(f, os.Environ()), now: time.Now()}
}

// open finds the directory, when the flags are parsed.
func (c *certCommand) open() error {
	state, config, err := c.where()
	if err != nil {
		return err
	}
	c.dir, c.conf = filepath.Join(state, "pki"), config
	return checkGroup(config, filepath.Join(state, conf.UsersFile), c.group)
}

// ecdsaFlag adds -ecdsa.
func (c *certCommand) ecdsaFlag(f *flag.FlagSet) {
	f.BoolFunc("ecdsa", "an ECDSA key; Windows, macOS and iOS take only RSA for L2TP", func(text string) error {
		ecdsa, err := strconv.ParseBool(text)
		if ecdsa {
			c.key = pki.ECDSA
		}
		return err
	})
}

func certCA(_ context.Context, s streams, f *flag.FlagSet, args []string) error {
	c := newCertCommand(s, f)
	f.StringVar(&c.name, "name", "adit VPN CA", "its `name`")
	if done, err := noName(f, args); done {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	return c.makeCA()
}

func certServer(_ context.Context, s streams, f *flag.FlagSet, args []string) error {
	c := newCertCommand(s, f)
	c.ecdsaFlag(f)
	names, done, err := mixed(f, args)
	if done {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	return c.server(names)
}

func certClient(_ context.Context, s streams, f *flag.FlagSet, args []string) error {
	c := newCertCommand(s, f)
	c.ecdsaFlag(f)
	f.StringVar(&c.vpn, "server", "", "`name` or address that the client dials, for its profile; without it, the first of the server's certificate")
	f.StringVar(&c.user, "user", "", "the user's `name`, for the profile")
	f.StringVar(&c.group, "group", "", "`name` of a [[group]]: the certificate admits its users alone")
	f.BoolVar(&c.split, "split", false, "the profile sends only routed networks through the VPN")
	f.StringVar(&c.dest, "o", ".", "`directory` to write to")
	name, done, err := oneName(f, args)
	if done {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	return c.client(name)
}

func certRevoke(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	c := newCertCommand(s, f)
	socket := changeSocketFlag(f)
	name, done, err := oneName(f, args)
	if done {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	return c.revoke(ctx, name, *socket)
}

func certList(_ context.Context, s streams, f *flag.FlagSet, args []string) error {
	c := newCertCommand(s, f)
	asJSON := jsonFlag(f)
	if done, err := noName(f, args); done {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	return c.list(*asJSON)
}

func (c *certCommand) makeCA() error {
	ca, err := pki.CreateCA(c.dir, c.name, c.now)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "The CA %s is in %s, valid until %s. Keep a copy of that directory: who has it can issue certificates.\nNext: adit cert server NAME, with the name that clients dial.\n",
		pki.Name(ca.Cert), c.dir, ca.Cert.NotAfter.Format(time.DateOnly))
	return nil
}

func (c *certCommand) server(names []string) error {
	if len(names) == 0 {
		return usagef("cert server takes the names and addresses that clients dial")
	}
	ca, err := pki.OpenCA(c.dir)
	if err != nil {
		return err
	}
	i, err := ca.Server(names, c.key, c.now)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, `The server's certificate for %s is valid until %s; before that, run this again, and adit reload. In the configuration:

[ipsec]
certificate = %q
private_key = %q
ca = [%q]
crl = [%q]

Next: adit cert client NAME for each client, and adit reload.
`, strings.Join(names, ", "), i.Cert.NotAfter.Format(time.DateOnly),
		filepath.Join(c.dir, pki.ServerFile), filepath.Join(c.dir, pki.ServerKeyFile),
		filepath.Join(c.dir, pki.CAFile), filepath.Join(c.dir, pki.CRLFile))
	return nil
}

func (c *certCommand) client(name string) error {
	ca, err := pki.OpenCA(c.dir)
	if err != nil {
		return err
	}
	vpn := c.vpn
	if vpn == "" {
		if vpn, err = pki.ServerName(c.dir); err != nil {
			return fmt.Errorf("%w: adit cert server NAME comes first, or say -server NAME", err)
		}
	}
	if err := c.destination(name); err != nil {
		return err
	}
	var units []string
	if c.group != "" {
		units = []string{c.group}
	}
	i, err := ca.Client(name, c.key, c.now, units...)
	if err != nil {
		return err
	}
	password := random(24)
	p12, err := i.PKCS12(ca.Cert, secret.String(password))
	if err != nil {
		return err
	}
	profile := pki.Profile{
		Server: vpn, Name: "VPN " + vpn, User: c.user, PKCS12: p12, CA: ca.Cert, All: !c.split,
	}.MobileConfig()
	base := filepath.Join(c.dest, name)
	if err := pki.WriteNew(base+".p12", p12); err != nil {
		return err
	}
	if err := pki.WriteNew(base+".mobileconfig", profile); err != nil {
		return err
	}
	return c.tell(i, base, password)
}

// destination reports why the files of a client cannot be written: once it is
// issued, a certificate lets its owner in, whether anybody has the files or not.
func (c *certCommand) destination(name string) error {
	files := []string{name + ".p12", name + ".mobileconfig"}
	if !isTerminal(c.out) {
		files = append(files, name+".password")
	}
	for _, file := range files {
		if _, err := os.Lstat(filepath.Join(c.dest, file)); err == nil {
			return fmt.Errorf("%s is there already: nothing was issued", filepath.Join(c.dest, file))
		}
	}
	probe, err := os.CreateTemp(c.dest, ".adit-*")
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err // its path is a temporary name that the user does not know
		}
		return fmt.Errorf("cannot write to %s: %w: make the directory, or name another by -o; nothing was issued", c.dest, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// tell says where the files are and their password: to a terminal, else in a
// file, because what a container prints is kept in logs.
func (c *certCommand) tell(i *pki.Issued, base, password string) error {
	if !isTerminal(c.out) {
		if err := pki.WriteNew(base+".password", []byte(password+"\n")); err != nil {
			return err
		}
		password = "in " + base + ".password"
	}
	fmt.Fprintf(c.out, `The certificate of %s is valid until %s.

Windows           %s.p12: as an administrator, certutil -importpfx %s.p12 (local computer)
macOS, iOS        %s.mobileconfig
Android, Linux    %s.p12
Password of both  %s
`, app.Word(pki.Name(i.Cert)), i.Cert.NotAfter.Format(time.DateOnly), base, filepath.Base(base), base, base, password)
	if own, err := pki.LoadCertificates(filepath.Join(c.dir, pki.ServerFile)); err == nil && own[0].PublicKeyAlgorithm != i.Cert.PublicKeyAlgorithm {
		fmt.Fprintf(c.out, "\nThe server's certificate is %v and this one %v: both have to be the same. adit cert server -ecdsa makes the server's ECDSA.\n",
			own[0].PublicKeyAlgorithm, i.Cert.PublicKeyAlgorithm)
	}
	return nil
}

func (c *certCommand) revoke(ctx context.Context, name, socket string) error {
	ca, err := pki.OpenCA(c.dir)
	if err != nil {
		return err
	}
	gone, err := ca.Revoke(name, c.now)
	if err != nil {
		return err
	}
	if len(gone) == 0 {
		fmt.Fprintf(c.out, "All certificates of %s are revoked already.\n", app.Word(name))
		return nil
	}
	for _, cert := range gone {
		fmt.Fprintf(c.out, "Revoked %s, serial %x.\n", app.Word(pki.Name(cert)), cert.SerialNumber)
	}
	fmt.Fprint(c.out, "Sessions that are up with it end when the server reads the list. ")
	takeOver(ctx, c.out, c.conf, socket, "ipsec.crl (the file)")
	return nil
}

// listedCert is a certificate as adit cert list shows it.
type listedCert struct {
	Name    string     `json:"name"`
	Serial  string     `json:"serial"`
	Until   time.Time  `json:"until"`
	State   string     `json:"state"` // valid, expired or revoked
	Revoked *time.Time `json:"revoked,omitempty"`
}

func (c *certCommand) list(asJSON bool) error {
	ca, err := pki.OpenCA(c.dir)
	if err != nil {
		return err
	}
	entries, err := ca.Entries()
	if err != nil {
		return err
	}
	list := []listedCert{}
	for _, e := range entries {
		x := listedCert{Name: e.Cert.Subject.CommonName, Serial: fmt.Sprintf("%x", e.Cert.SerialNumber), Until: e.Cert.NotAfter, State: "valid"}
		switch {
		case !e.Revoked.IsZero():
			x.State, x.Revoked = "revoked", &e.Revoked
		case c.now.After(x.Until):
			x.State = "expired"
		}
		list = append(list, x)
	}
	if asJSON {
		return printJSON(c.out, list)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSERIAL\tUNTIL\tSTATE")
	for i, x := range list {
		state := x.State
		if x.Revoked != nil {
			state += " " + x.Revoked.Format(time.DateOnly)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", app.Cell(pki.Name(entries[i].Cert)), x.Serial, x.Until.Format(time.DateOnly), state)
	}
	return w.Flush()
}
