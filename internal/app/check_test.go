package app

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/conf"
)

// A configuration of RADIUS that Check is asked about, of a file with mode.
func checked(t *testing.T, mode os.FileMode, text string) []Finding {
	t.Helper()
	return Check(loadedAs(t, mode, text))
}

// loaded is a configuration with a pre-shared key, and what a text says.
func loaded(t *testing.T, text string) *conf.Config {
	t.Helper()
	return loadedAs(t, 0o600, text)
}

func loadedAs(t *testing.T, mode os.FileMode, text string) *conf.Config {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "adit.toml")
	text = fmt.Sprintf("[server]\nstate_dir = %q\n[ipsec]\npsk = \"a pre-shared key of good length\"\n%s", dir, text)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	c, err := conf.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// says returns the text of the finding that begins so, and its mark.
func says(list []Finding, begin string) (mark, text string) {
	for _, f := range list {
		if text = f.What; f.Err != nil {
			text += ": " + f.Err.Error()
		}
		switch {
		case !strings.HasPrefix(f.What, begin) && !strings.Contains(f.What, begin):
		case f.Err != nil:
			return "FAIL", text
		case f.Warning:
			return "warn", text
		default:
			return "ok", text
		}
	}
	return "", ""
}

// Reachable servers and others, each by its address.
func TestCheckNamesRADIUSServersThatDoNotAnswer(t *testing.T) {
	there, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := there.ReadFrom(buf)
			if err != nil {
				return
			}
			p, err := radius.Parse(buf[:n], []byte("s"))
			if err != nil {
				continue
			}
			if b, err := p.Response(radius.CodeAccessAccept).Encode(); err == nil {
				_, _ = there.WriteTo(b, from)
			}
		}
	}()
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	list := checked(t, 0o600, fmt.Sprintf(`[auth]
backend = "radius"
[radius]
patience = "5s"
allow_unsigned_replies = true
servers = [
  { address = %[1]q, accounting = %[3]q, secret = "s" },
  { address = %[2]q, secret = "s" },
  { address = %[3]q, secret = "s" },
]
`, there.LocalAddr(), closed.LocalAddr(), silent.LocalAddr()))
	for begin, want := range map[string][2]string{
		"RADIUS server " + there.LocalAddr().String():         {"ok", "answers Status-Server"},
		"RADIUS server " + closed.LocalAddr().String():        {"FAIL", "no RADIUS server answers: connection refused: the host is there, and nothing listens on that port: start the RADIUS server, or correct the address and port"},
		"RADIUS server " + silent.LocalAddr().String():        {"FAIL", "it keeps silent, as it also does if it does not know 127.0.0.1 as a client, or has another secret for it, if it is switched off, or if a firewall drops the packets of either way"},
		"RADIUS accounting at " + silent.LocalAddr().String(): {"warn", "as NPS"},
	} {
		if mark, text := says(list, begin); mark != want[0] || !strings.Contains(text, want[1]) {
			t.Errorf("%s: %s %q, want %q", begin, mark, text, want)
		}
	}
}

// Forwarding that is off matters where the server does not turn it on, or cannot.
func TestCheckSaysWhoTurnsForwardingOn(t *testing.T) {
	yes := func() error { return nil }
	no := func() error { return os.ErrPermission }
	for name, tc := range map[string]struct {
		on, server bool
		may        func() error
		mark, want string
	}{
		"on":                   {true, true, nil, "ok", "is on"},
		"on, by others":        {true, false, nil, "ok", "is on"},
		"off":                  {false, true, yes, "ok", "the server turns it on when it starts"},
		"off, and read-only":   {false, true, no, "FAIL", "permission denied): set the sysctl net.ipv4.ip_forward=1 on the host, or for the container"},
		"off, not masqueraded": {false, false, nil, "warn", "run `sysctl -w net.ipv4.ip_forward=1`, and write net.ipv4.ip_forward=1 into a file below /etc/sysctl.d"},
	} {
		f := forwarding("IPv4", "net.ipv4.ip_forward", tc.on, tc.server, tc.may)
		if mark, text := says([]Finding{f}, "IPv4 forwarding"); mark != tc.mark || !strings.Contains(text, tc.want) {
			t.Errorf("%s: %s %q, want %s %q", name, mark, text, tc.mark, tc.want)
		}
	}
}

const oneUser = "[[user]]\nname = \"alice\"\npassword = \"p\"\n"

func TestCheckNamesTheBridgeThatIsMissing(t *testing.T) {
	const tap = `[network]
mode = "tap"
lan = "192.168.7.0/24"
pool = ["192.168.7.200-192.168.7.250"]
bridge = "nobridge0"
`
	if mark, text := says(checked(t, 0o600, oneUser+tap), "bridge nobridge0"); mark != "FAIL" || !strings.Contains(text, "network.bridge") {
		t.Errorf("%s %q", mark, text)
	}
}

func TestCheckNamesAConfigurationThatOthersCanRead(t *testing.T) {
	if mark, text := says(checked(t, 0o644, oneUser), "has secrets in it"); mark != "warn" || !strings.Contains(text, "chmod 600 ") {
		t.Errorf("%s %q", mark, text)
	}
	if mark, text := says(checked(t, 0o600, oneUser), "has secrets in it"); mark != "" {
		t.Errorf("a private file: %s %q", mark, text)
	}
}

// An NT hash is good for MS-CHAPv2 alone: there is a warning if another method is on.
func TestCheckNamesHashesThatAreNotEnough(t *testing.T) {
	const user = "[[user]]\nname = \"alice\"\nnt_hash = \"6608e4bc7b2b7a5f77ce3573570775af\"\n[[user]]\nname = \"bob\"\npassword = \"p\"\n"
	for methods, want := range map[string]string{
		``: "", `methods = ["mschapv2"]`: "", `methods = ["mschapv2", "pap"]`: "warn", `methods = ["chap"]`: "warn",
	} {
		mark, text := says(checked(t, 0o600, "[auth]\n"+methods+"\n"+user), "NT hash in place of a password")
		if mark != want || want != "" && !strings.Contains(text, "password: 1;") {
			t.Errorf("%s: %s %s, want %q", methods, mark, text, want)
		}
	}
}
