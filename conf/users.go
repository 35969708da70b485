package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/durable"
)

// UsersFile is the file in the state directory that `adit user` and `adit group` maintain.
const UsersFile = "users.toml"

// readUsers adds the users and the groups of the users file to those of the configuration.
func readUsers(d *decoder, c *Config) {
	name := filepath.Join(c.Server.StateDir, UsersFile)
	d.usersFile = name
	local, file, err := readUsersFile(name)
	var wrong Errors
	switch {
	case errors.As(err, &wrong):
		d.errors = append(d.errors, wrong...)
	case err != nil:
		d.errors = append(d.errors, &Error{File: name, Text: err.Error()})
	}
	d.usersLines, d.usersUnread = file.lines, file.unread
	d.errors = append(d.errors, file.errors...)
	if hasSecrets(reflect.ValueOf(Config{Users: local.Users})) {
		c.secretsIn = append(c.secretsIn, name)
	}
	c.Users = append(c.Users, local.Users...)
	d.groupsInFile = len(c.Groups)
	c.Groups = append(c.Groups, local.Groups...)
}

// Local is what a users file has.
type Local struct {
	Users  []User  `toml:"user"`
	Groups []Group `toml:"group"`
}

// ReadLocal reads a users file; one that does not exist has nothing.
func ReadLocal(name string) (Local, error) {
	local, file, err := readUsersFile(name)
	if err == nil && len(file.errors) > 0 {
		return Local{}, file.errors.sorted()
	}
	return local, err
}

// ReadUsers is ReadLocal, of users alone.
func ReadUsers(name string) ([]User, error) {
	local, err := ReadLocal(name)
	return local.Users, err
}

// readUsersFile is ReadLocal, with what cannot be read in the decoder.
func readUsersFile(name string) (local Local, d *decoder, err error) {
	d = &decoder{file: name}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return local, d, nil
	}
	if err != nil {
		return local, d, err
	}
	var tree map[string]any
	if _, err := toml.Decode(string(b), &tree); err != nil {
		return local, d, Errors{syntaxError(name, string(b), err)}
	}
	d.lines = keyLines(string(b))
	d.table(reflect.ValueOf(&local).Elem(), "", tree)
	for i, g := range local.Groups {
		if len(g.PSK) > 0 || g.PSKFile != "" || g.L2TPSecret.Len() > 0 || g.L2TPSecretFile != "" || g.RequireL2TPSecret {
			d.fail(fmt.Sprintf("group[%d]", i), "a group with keys belongs in the configuration, not here")
		}
	}
	return local, d, nil
}

// EditUsers is EditLocal, of users alone.
func EditUsers(name string, edit func([]User) ([]User, error)) error {
	return EditLocal(name, func(l *Local) (err error) {
		l.Users, err = edit(l.Users)
		return err
	})
}

// EditLocal lets edit change what a users file has, under a lock, and replaces the file in
// one step. Nothing is written if edit fails.
func EditLocal(name string, edit func(*Local) error) error {
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
	local, err := ReadLocal(name)
	if err != nil {
		return err
	}
	if err = edit(&local); err != nil {
		return err
	}
	return WriteAtomic(name, []byte(local.format()))
}

func (l *Local) format() string {
	var b strings.Builder
	b.WriteString("# Maintained by `adit user` and `adit group`.\n")
	for _, g := range l.Groups {
		fmt.Fprintf(&b, "\n[[group]]\nname = %s\n%s", quote(g.Name), linesOf(&g, "name"))
	}
	for _, u := range l.Users {
		fmt.Fprintf(&b, "\n[[user]]\nname = %s\n%s", quote(u.Name), linesOf(&u, "name"))
	}
	return b.String()
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

// WriteAtomic replaces a file in one step, readable by its owner alone, and a power loss does not
// bring the old one back. What is written lies
// beside it meanwhile, under a name of its own, so that a crash leaves one such file at most:
// one caller at a time may write a file.
func WriteAtomic(name string, b []byte) error {
	tmp := name + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = durable.Rename(tmp, name)
	}
	if err != nil {
		_ = os.Remove(tmp) // gone after the rename
	}
	return err
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

// NeedsPasswords reports whether local users may be authenticated by a method for
// which the NT hash of a password is not enough.
func (c *Config) NeedsPasswords() bool {
	return len(c.Auth.Methods) == 0 || slices.ContainsFunc(c.Auth.Methods, func(m Method) bool { return m != MSCHAPv2 && m != EAP })
}
