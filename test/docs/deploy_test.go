package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/conf"
)

// unit reads a systemd unit file and returns the keys of its sections with all
// their values.
func unit(t *testing.T, text string) map[string][]string {
	t.Helper()
	values := map[string][]string{}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[' && line[len(line)-1] == ']':
			section = line[1 : len(line)-1]
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" || strings.TrimSpace(key) != key {
				t.Errorf("systemd would not read %q", line)
			}
			values[section+"."+key] = append(values[section+"."+key], value)
		}
	}
	return values
}

// The unit waits until the server is ready, does not restart it after an error
// that another try cannot solve, and confines it.
func TestTheUnit(t *testing.T) {
	got := unit(t, read(t, "deploy/adit.service"))
	for key, want := range map[string]string{
		"Service.Type":                     "notify",
		"Service.ExecStart":                "/usr/local/bin/adit serve -c /etc/adit/adit.toml",
		"Service.ExecReload":               "/usr/local/bin/adit reload",
		"Service.Restart":                  "on-failure",
		"Service.RestartPreventExitStatus": "2",
		"Service.StateDirectory":           "adit",
		"Service.StateDirectoryMode":       "0700",
		"Service.CapabilityBoundingSet":    "CAP_NET_ADMIN CAP_NET_BIND_SERVICE",
		"Service.NoNewPrivileges":          "yes",
		"Service.ProtectSystem":            "strict",
		"Service.DeviceAllow":              "/dev/net/tun rw",
		"Service.RestrictAddressFamilies":  "AF_UNIX AF_INET AF_INET6 AF_NETLINK", // AF_UNIX is for notifying systemd
		"Install.WantedBy":                 "multi-user.target",
	} {
		if !slices.Equal(got[key], []string{want}) {
			t.Errorf("%s=%q, want %q", key, got[key], want)
		}
	}
}

// The example says itself what has to be filled in, and nothing else is missing;
// once that is filled in, it is a valid configuration. The settings in its
// comments are valid, too.
func TestTheExampleIsAConfigurationOnceItIsFilledIn(t *testing.T) {
	example := read(t, "deploy/adit.toml.example")
	const psk = "psk = \"ABCDEFGHIJKLMNOPQRSTUVWX\""
	filled := strings.Replace(example, `psk = ""`, psk, 1)
	everything := regexp.MustCompile(`(?m)^# ((\[|[a-z_]+ = ).*)$`).ReplaceAllString(filled, "$1")
	if strings.Count(everything, "\n[") < 7 {
		t.Errorf("this test does not find what is commented out in\n%s", everything)
	}
	for name, tc := range map[string]struct {
		text, users string
		wrong       []string
	}{
		"as it is":         {example, "", []string{"ipsec.psk", "user"}},
		"with a user":      {example, "[[user]]\nname = \"alice\"\npassword = \"p\"\n", []string{"ipsec.psk"}},
		"with both":        {filled, "[[user]]\nname = \"alice\"\npassword = \"p\"\n", nil},
		"all that is said": {everything, "", nil},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "adit.toml")
		for path, text := range map[string]string{file: tc.text, filepath.Join(dir, conf.UsersFile): tc.users, filepath.Join(dir, "radius-secret"): "s"} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := conf.Load(file, []string{"ADIT_SERVER_STATE_DIR=" + dir})
		var keys []string
		if errs, ok := err.(conf.Errors); ok { //nolint:errorlint // this function returns a conf.Errors or nil
			for _, e := range errs {
				keys = append(keys, e.Key)
			}
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		slices.Sort(keys)
		if !slices.Equal(keys, tc.wrong) {
			t.Errorf("%s: %v, want what is wrong to be %q", name, err, tc.wrong)
		}
	}
}

// The files that the document tells the reader to use exist, and every metric of
// the server is explained.
func TestOperatingNamesWhatThereIs(t *testing.T) {
	text := read(t, "docs/operating.md")
	for _, m := range regexp.MustCompile(`deploy/[a-z.]+`).FindAllString(text, -1) {
		if _, err := os.Stat(filepath.Join(root, m)); err != nil {
			t.Error(err)
		}
	}
	source := read(t, "internal/app/metrics.go")
	names := regexp.MustCompile(`(?:counter|vec)\("([a-z_]+)"|NewDesc\("adit_([a-z_]+)"`).FindAllStringSubmatch(source, -1)
	if len(names) < 12 {
		t.Errorf("%d metrics: this test looks for them in the wrong way", len(names))
	}
	for _, m := range names {
		if name := "adit_" + m[1] + m[2]; !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/operating.md does not say what %s is for", name)
		}
	}
}
