package conf

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/adit-vpn/adit/internal/secret"
)

// Load reads file, then the environment, then the secret files and the users
// file that they name, and validates the result. An empty file name means the
// environment alone. environ is as os.Environ returns it.
//
// An error is an Errors when the configuration is wrong.
func Load(file string, environ []string) (*Config, error) {
	text := ""
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, unreadable(err)
		}
		text = string(b)
	}
	return parse(file, text, environ)
}

// unreadable is the error of a configuration that cannot be read. It is an Errors, like
// that of a wrong one: another try would not help.
func unreadable(err error) error {
	return Errors{{Text: "cannot read the configuration: " + err.Error()}}
}

// parse is Load on a text that was read already.
func parse(file, text string, environ []string) (*Config, error) {
	var tree map[string]any
	if _, err := toml.Decode(text, &tree); err != nil {
		return nil, Errors{syntaxError(file, text, err)}
	}
	c := Default()
	c.File = file
	d := &decoder{file: file, lines: keyLines(text)}
	d.table(reflect.ValueOf(c).Elem(), "", tree)
	if hasSecrets(reflect.ValueOf(c).Elem()) {
		c.secretsIn = append(c.secretsIn, file)
	}
	d.inFile = len(c.Users)
	applyEnvironment(d, c, environ)
	d.inEnvironment = len(c.Users)
	readUsers(d, c)
	readSecretFiles(d, c)
	validate(d, c)
	noteRadius(c)
	if len(d.errors) > 0 {
		return nil, d.errors.sorted()
	}
	c.read = d
	return c, nil
}

// Peek reads file and the environment, as far as they can be understood. It reads no file
// that they name and validates nothing. It is for commands that maintain a server's files
// even while its configuration is wrong. An empty file name means the environment alone.
func Peek(file string, environ []string) (*Config, error) {
	var tree map[string]any
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, unreadable(err)
		}
		if _, err := toml.Decode(string(b), &tree); err != nil {
			return nil, Errors{syntaxError(file, string(b), err)}
		}
	}
	c := Default()
	c.File = file
	d := &decoder{file: file}
	d.table(reflect.ValueOf(c).Elem(), "", tree)
	applyEnvironment(d, c, environ)
	return c, nil
}

// readSecretFiles replaces every …_file by what the file holds.
func readSecretFiles(d *decoder, c *Config) {
	readPSKFile(d, "ipsec.psk_file", c.IPsec.PSKFile, &c.IPsec.PSK)
	readSecretFile(d, "l2tp.secret_file", c.L2TP.SecretFile, &c.L2TP.Secret)
	readGroupFiles(d, c)
	readLinkFiles(d, c)
	readTunnelFiles(d, c)
	resolveCertificates(d, c)
	readRadiusFiles(d, c)
	readCoAFiles(d, c)
	readPasswordFiles(d, c.Users, 0)
}

// readPasswordFiles replaces every password_file of the users from the nth on.
func readPasswordFiles(d *decoder, users []User, n int) {
	for i := n; i < len(users); i++ {
		if u := &users[i]; u.PasswordFile != "" {
			key := fmt.Sprintf("user[%d].password_file", i)
			u.Password = secret.String(strings.TrimRight(string(readSecret(d, key, u.PasswordFile)), "\r\n"))
		}
	}
}

// readPSKFile reads pre-shared keys, one a line, if a file is named.
func readPSKFile(d *decoder, key, name string, to *[]secret.Bytes) {
	if name == "" {
		return
	}
	if len(*to) > 0 {
		d.fail(key, "set psk or psk_file, not both")
	}
	for _, line := range strings.Split(string(readSecret(d, key, name)), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			*to = append(*to, secret.String(line))
		}
	}
}

// readSecretFile reads a secret that is one line, if a file is named.
func readSecretFile(d *decoder, key, name string, to *secret.Bytes) {
	if name == "" {
		return
	}
	if to.Len() > 0 {
		d.fail(key, "set %s or this, not both", strings.TrimSuffix(key[strings.LastIndexByte(key, '.')+1:], "_file"))
	}
	*to = secret.String(strings.TrimRight(string(readSecret(d, key, name)), "\r\n"))
}

// readSecret reads a file that only its owner may read, or that a platform
// has put where nobody else is.
func readSecret(d *decoder, key, name string) []byte {
	if d.file != "" && !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(d.file), name)
	}
	b, err := secret.ReadFile(name)
	if err != nil {
		d.fail(key, "cannot read the secret: %v", err)
		return nil
	}
	if err := secret.CheckFile(name); err != nil {
		d.fail(key, "%v", err)
		return nil
	}
	if len(bytes.TrimSpace(b)) == 0 {
		d.fail(key, "%s is empty", name)
	}
	return b
}
