package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
	"github.com/adit-vpn/adit/internal/secret"
)

// passwordLength is how many characters a generated password has, of 5 bits each.
const passwordLength = 16

// generateFlag adds -generate.
func generateFlag(f *flag.FlagSet) *bool {
	return f.Bool("generate", false, "make a random password, and print it if this is a terminal")
}

// password asks for a user's password, or makes one.
func (u userCommand) password(name string, generate bool) (secret.Bytes, error) {
	if generate {
		return secret.String(random(passwordLength)), nil
	}
	return askPassword(u.streams, name)
}

// keep gives a user a password: as its NT hash if no method of the configuration needs
// more. A hash does not show a password that the user may use elsewhere, too. A password
// that is generated and shown to nobody is kept as it is.
func (u userCommand) keep(x *conf.User, password secret.Bytes, generated bool) error {
	x.Password, x.NTHash, x.PasswordFile = password, conf.NTHash{}, ""
	if u.conf.NeedsPasswords() || x.TOTP.Len() > 0 || generated && !isTerminal(u.out) {
		return nil
	}
	hash, err := app.NTHash(password)
	if err != nil {
		return fmt.Errorf("the password cannot be kept: %w", err)
	}
	x.Password, x.NTHash = secret.Bytes{}, hash
	return nil
}

// tell shows a generated password, on a terminal only: other output is kept in logs. It
// also says which methods a hash is not enough for.
func (u userCommand) tell(password secret.Bytes, x conf.User, generated bool) {
	switch {
	case !generated:
	case isTerminal(u.out):
		fmt.Fprintf(u.out, "The password is %s\n", password.Reveal())
	default:
		fmt.Fprintf(u.out, "The password is in %s: it is printed to a terminal only.\n", u.file)
	}
	if x.NTHash.Len() > 0 {
		fmt.Fprintf(u.out, "It is kept as its NT hash, which auth.methods needs no more than: for chap or pap it has to be set again.\n")
	}
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

// askOnce reads a password from a terminal, or one line from anything else.
func askOnce(s streams, name string) (secret.Bytes, error) {
	f, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return passwordLine(s, "type it there")
	}
	fmt.Fprintf(s.err, "Password for %s: ", app.Word(name))
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(s.err)
	if err != nil {
		return secret.Bytes{}, err
	}
	return secret.New(b), nil
}

// passwordLine reads a password from standard input. What to do if there is none is for the
// error.
func passwordLine(s streams, todo string) (secret.Bytes, error) {
	line, err := bufio.NewReader(s.in).ReadString('\n')
	password := strings.TrimRight(line, "\r\n")
	if password == "" {
		return secret.Bytes{}, fmt.Errorf("no password on standard input (%w): %s", errOr(err), todo)
	}
	return secret.String(password), nil
}

// askPassword reads a password twice from a terminal, or one line from
// anything else.
func askPassword(s streams, name string) (secret.Bytes, error) {
	if f, ok := s.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(s.err, "Password for %s: ", app.Word(name))
		first, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprint(s.err, "\nAgain: ")
		if err != nil {
			return secret.Bytes{}, err
		}
		second, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(s.err)
		switch {
		case err != nil:
			return secret.Bytes{}, err
		case string(first) != string(second):
			return secret.Bytes{}, errors.New("the two passwords differ; nothing was changed")
		case len(first) == 0:
			return secret.Bytes{}, errors.New("the password is empty; nothing was changed")
		}
		return secret.New(first), nil
	}
	return passwordLine(s, "type it there, or let -generate make one; nothing was changed")
}

func errOr(err error) error {
	if err != nil {
		return err
	}
	return errors.New("an empty line")
}
