package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"flag"
	"fmt"
	"image/color"
	"net/url"
	"strings"

	"github.com/boombuler/barcode/qr"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
	"github.com/adit-vpn/adit/internal/secret"
)

const userTOTPAbout = `Makes a new key for one-time codes (TOTP, RFC 6238) and prints it as a QR code, for
an authenticator app, to a terminal only. From then on the user types the
password and, right behind it, the six digits. A code is good once.
With -off the password alone is enough again.`

// totpKey is how many bytes a key has: RFC 4226, section 4 recommends 160 bits.
const totpKey = 20

func userTOTP(ctx context.Context, s streams, f *flag.FlagSet, args []string) error {
	u := newUserCommand(s, f)
	u.socket = changeSocketFlag(f)
	off := f.Bool("off", false, "take the codes away")
	name, done, err := oneName(f, args)
	if done {
		return err
	}
	if err := u.open(); err != nil {
		return err
	}
	if err := u.check(name); err != nil {
		return err
	}
	if *off {
		return u.withoutCodes(ctx, name)
	}
	if !isTerminal(s.out) {
		return errors.New("the key is printed to a terminal only, and this is none")
	}
	users, err := conf.ReadUsers(u.file)
	if err != nil {
		return err
	}
	var password secret.Bytes
	for _, x := range users {
		if x.Name == name && x.NTHash.Len() > 0 {
			fmt.Fprintln(s.err, "Only the hash of the password is kept, and codes need the password itself: type it once more, or a new one.")
			if password, err = askPassword(s, name); err != nil {
				return err
			}
		}
	}
	var raw [totpKey]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return err
	}
	key := base32.StdEncoding.EncodeToString(raw[:])
	err = u.edit(name, func(x *conf.User) error {
		if password.Len() > 0 {
			x.Password, x.NTHash, x.PasswordFile = password, conf.NTHash{}, ""
		}
		if x.Password.Len() == 0 && x.PasswordFile == "" {
			return fmt.Errorf("%s has no password, which codes come behind: adit user passwd sets one", app.Word(name))
		}
		x.TOTP = secret.String(key)
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Changed %s in %s. ", app.Word(name), u.file)
	u.live(ctx)
	uri := totpURI(u.conf, name, key)
	if err := printQR(s, uri); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s\nScan it with an authenticator app. At the next login type the password and, right behind it, the six digits.\n", uri)
	return nil
}

func (u userCommand) withoutCodes(ctx context.Context, name string) error {
	err := u.edit(name, func(x *conf.User) error {
		x.TOTP = secret.Bytes{}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(u.out, "Changed %s in %s: the password alone is enough. ", app.Word(name), u.file)
	u.live(ctx)
	return nil
}

// totpURI is what authenticator apps read.
func totpURI(c *conf.Config, name, key string) string {
	issuer := "VPN"
	if c.Server.Public.IsValid() {
		issuer = c.Server.Public.String()
	}
	q := url.Values{"secret": {key}, "issuer": {issuer}}
	label := url.PathEscape(issuer) + ":" + url.PathEscape(name)
	return "otpauth://totp/" + label + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// quiet is how many light modules are around a QR code.
const quiet = 2

// printQR prints a QR code, two rows of modules a line. The colours are named: a code that
// follows the terminal's own may be inverted, which not every app reads.
func printQR(s streams, text string) error {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return fmt.Errorf("the QR code: %w", err)
	}
	size := code.Bounds().Dx()
	dark := func(x, y int) bool {
		return x >= 0 && y >= 0 && x < size && y < size && color.GrayModel.Convert(code.At(x, y)).(color.Gray).Y < 128
	}
	for y := -quiet; y < size+quiet; y += 2 {
		fmt.Fprint(s.out, "\x1b[30;107m")
		for x := -quiet; x < size+quiet; x++ {
			switch up, down := dark(x, y), dark(x, y+1); {
			case up && down:
				fmt.Fprint(s.out, "█")
			case up:
				fmt.Fprint(s.out, "▀")
			case down:
				fmt.Fprint(s.out, "▄")
			default:
				fmt.Fprint(s.out, " ")
			}
		}
		fmt.Fprint(s.out, "\x1b[0m\n")
	}
	return nil
}
