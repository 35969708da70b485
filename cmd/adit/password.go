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

	"github.com/adit-vpn/adit/internal/secret"
)

// passwordLength is how many characters a generated password has, of 5 bits each.
const passwordLength = 16

// generateFlag adds -generate.
func generateFlag(f *flag.FlagSet) *bool {
	return f.Bool("generate", false, "make a random password, and print it if this is a terminal")
}

// password asks for a user's password, or makes one.
func (u *userCommand) password(name string, generate bool) (secret.Bytes, error) {
	if generate {
		return secret.String(random(passwordLength)), nil
	}
	return askPassword(u.streams, name)
}

// tell shows a password that was generated: to a terminal, since what else prints
// is kept in logs.
func (u *userCommand) tell(password secret.Bytes, generated bool) {
	switch {
	case !generated:
	case isTerminal(u.out):
		fmt.Fprintf(u.out, "The password is %s\n", password.Reveal())
	default:
		fmt.Fprintf(u.out, "The password is in %s: it is printed to a terminal only.\n", u.file)
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

// askPassword reads a password twice from a terminal, or one line from
// anything else.
func askPassword(s streams, name string) (secret.Bytes, error) {
	if f, ok := s.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(s.err, "Password for %s: ", printable(name))
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
	line, err := bufio.NewReader(s.in).ReadString('\n')
	password := strings.TrimRight(line, "\r\n")
	if password == "" {
		return secret.Bytes{}, fmt.Errorf("no password on standard input (%w); nothing was changed", errOr(err))
	}
	return secret.String(password), nil
}

func errOr(err error) error {
	if err != nil {
		return err
	}
	return errors.New("an empty line")
}
