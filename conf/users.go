package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/secret"
)

// UsersFile is the file in the state directory that `adit user` maintains.
const UsersFile = "users.toml"

// readUsers adds the users of the users file to those of the configuration.
func readUsers(d *decoder, c *Config) {
	name := filepath.Join(c.Server.StateDir, UsersFile)
	d.usersFile = name
	users, lines, err := readUsersFile(name)
	d.usersLines = lines
	var wrong Errors
	switch {
	case errors.As(err, &wrong):
		d.errors = append(d.errors, wrong...)
	case err != nil:
		d.errors = append(d.errors, &Error{File: name, Text: err.Error()})
	}
	if hasSecrets(reflect.ValueOf(Config{Users: users})) {
		c.secretsIn = append(c.secretsIn, name)
	}
	c.Users = append(c.Users, users...)
}

// ReadUsers reads a users file; one that does not exist has no users.
func ReadUsers(name string) ([]User, error) {
	users, _, err := readUsersFile(name)
	return users, err
}

// readUsersFile is ReadUsers, with the lines of the keys.
func readUsersFile(name string) ([]User, map[string]int, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	var tree map[string]any
	if _, err := toml.Decode(string(b), &tree); err != nil {
		return nil, nil, Errors{syntaxError(name, string(b), err)}
	}
	var list struct {
		Users []User `toml:"user"`
	}
	d := &decoder{file: name, lines: keyLines(string(b))}
	d.table(reflect.ValueOf(&list).Elem(), "", tree)
	if len(d.errors) > 0 {
		return nil, nil, d.errors.sorted()
	}
	return list.Users, d.lines, nil
}

// EditUsers lets edit change the users of a users file, under a lock, and
// replaces the file in one step. Nothing is written if edit fails.
func EditUsers(name string, edit func([]User) ([]User, error)) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(name+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	users, err := ReadUsers(name)
	if err != nil {
		return err
	}
	if users, err = edit(users); err != nil {
		return err
	}
	return writeAtomic(name, []byte(formatUsers(users)))
}

func formatUsers(users []User) string {
	var b strings.Builder
	b.WriteString("# Maintained by `adit user`.\n")
	for _, u := range users {
		fmt.Fprintf(&b, "\n[[user]]\nname = %s\n", quote(u.Name))
		for _, s := range []struct {
			key   string
			value secret.Bytes
		}{{"password", u.Password}, {"nt_hash", u.NTHash}} {
			if s.value.Len() > 0 {
				fmt.Fprintf(&b, "%s = %s\n", s.key, quote(string(s.value.Reveal())))
			}
		}
		if u.PasswordFile != "" {
			fmt.Fprintf(&b, "password_file = %s\n", quote(u.PasswordFile))
		}
		if u.Address != "" {
			fmt.Fprintf(&b, "address = %s\n", quote(u.Address))
		}
		for _, s := range []struct{ key, value string }{
			{"address6", u.Address6}, {"prefix6", u.Prefix6}, {"delegated6", u.Delegated6}, {"group", u.Group}, {"domain", u.Domain},
		} {
			if s.value != "" {
				fmt.Fprintf(&b, "%s = %s\n", s.key, quote(s.value))
			}
		}
		for _, s := range []struct {
			key  string
			list []string
		}{{"dns", u.DNS}, {"routes", u.Routes}} {
			if s.list != nil { // an empty one says something
				fmt.Fprintf(&b, "%s = [%s]\n", s.key, quoteAll(s.list))
			}
		}
	}
	return b.String()
}

// quoteAll writes the elements of a TOML array.
func quoteAll(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return strings.Join(quoted, ", ")
}

// quote writes a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// writeAtomic replaces a file in one step, readable by its owner alone.
func writeAtomic(name string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err = tmp.Write(b); err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// WriteNew writes a file that must not exist yet, readable by its owner alone.
func WriteNew(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
