package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A file with secrets that others can read is named, whatever the secret is and whichever
// of the two files it is in. A file without secrets is not.
func TestFilesWithSecretsThatOthersCanReadAreNamed(t *testing.T) {
	const psk = "[ipsec]\npsk = \"a pre-shared key of good length\"\n"
	const environment = "ADIT_IPSEC_PSK=a pre-shared key of good length"
	const user, plain = "[[user]]\nname = \"alice\"\npassword = \"p\"\n", "[server]\npublic = \"vpn.example.com\"\n"
	for name, tc := range map[string]struct {
		file, users string
		mode        os.FileMode
		want        []string
	}{
		"a key":                   {psk, user, 0o644, []string{"adit.toml", "users.toml"}},
		"for a group of the host": {psk, user, 0o640, []string{"adit.toml", "users.toml"}},
		"the owner's alone":       {psk, user, 0o600, nil},
		"who cannot read may write, which is another matter": {psk, user, 0o622, nil},
		"a password":       {user, "", 0o604, []string{"adit.toml"}},
		"a hash":           {"[[user]]\nname = \"alice\"\nnt_hash = \"0123456789abcdef0123456789abcdef\"\n", "", 0o644, []string{"adit.toml"}},
		"a key of a group": {user + "[[group]]\nname = \"staff\"\npsk = [\"another pre-shared key of good length\"]\n", "", 0o644, []string{"adit.toml"}},
		"a shared secret":  {"[[radius.servers]]\naddress = \"192.0.2.1:1812\"\nsecret = \"s\"\n", user, 0o644, []string{"adit.toml", "users.toml"}},
		"none":             {plain, user, 0o644, []string{"users.toml"}},
	} {
		dir := t.TempDir()
		file, users := filepath.Join(dir, "adit.toml"), filepath.Join(dir, "users.toml")
		for path, text := range map[string]string{file: tc.file, users: tc.users} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tc.mode); err != nil { // whatever the umask is
				t.Fatal(err)
			}
		}
		c, err := Load(file, []string{environment, "ADIT_SERVER_STATE_DIR=" + dir, "ADIT_IPSEC_PSK_FILE="})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var want []string
		for _, base := range tc.want {
			want = append(want, filepath.Join(dir, base))
		}
		if got := c.Exposed(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		for _, path := range []string{file, users} {
			if err := os.Chmod(path, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.Exposed(); got != nil {
			t.Errorf("%s: %q is named after chmod 600", name, got)
		}
	}
	if c, err := Load("", []string{environment, "ADIT_USERS=alice:p", fmt.Sprintf("ADIT_SERVER_STATE_DIR=%s", t.TempDir())}); err != nil || c.Exposed() != nil {
		t.Errorf("of the environment alone: %v, %v", c, err)
	}
}
