//go:build real

package lab

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// RadiusSecret is the secret that the lab's FreeRADIUS shares with the server.
const RadiusSecret = "a secret between two daemons"

// RadiusMessage is what that FreeRADIUS tells every user.
const RadiusMessage = "The help desk has extension 12"

// RadiusConfig is the configuration of a server that asks the lab's FreeRADIUS.
func RadiusConfig() Config {
	return Config{
		"user": "",
		"auth": "backend = \"radius\"\nmethods = [\"mschapv2\", \"chap\", \"pap\"]",
		"radius": fmt.Sprintf("servers = [{ address = \"127.0.0.1:1812\", accounting = \"127.0.0.1:1813\", secret = %q }]",
			RadiusSecret),
	}
}

// Radius is Debian's FreeRADIUS in the server's namespace, with the account of
// this lab and nothing else of a configuration but what follows.
type Radius struct {
	run    *Process
	detail string
}

const radiusConf = `
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = @DIR@
logdir = @DIR@
run_dir = @DIR@
security {
	reject_delay = 0
	status_server = no
}
client adit {
	ipaddr = 127.0.0.1
	secret = "@SECRET@"
	require_message_authenticator = yes
}
modules {
	pap {
	}
	chap {
	}
	mschap {
		@MSCHAP@
	}
	files {
		usersfile = @DIR@/users
	}
	detail {
		filename = @DIR@/detail
	}
	@MODULES@
}
@BESIDE@
server default {
	listen {
		type = auth
		ipaddr = 127.0.0.1
		port = 1812
	}
	listen {
		type = acct
		ipaddr = 127.0.0.1
		port = 1813
	}
	@WITHIN@
	authorize {
		@AUTHORIZE@
		chap
		mschap
		files
		pap
	}
	authenticate {
		@AUTHENTICATE@
		Auth-Type PAP {
			pap
		}
		Auth-Type CHAP {
			chap
		}
		Auth-Type MS-CHAP {
			mschap
		}
	}
	session {
		@SESSION@
	}
	accounting {
		detail
		@ACCOUNTING@
	}
	post-auth {
		@REPLY@
		Post-Auth-Type REJECT {
			@REPLY@
		}
	}
}
`

// signed is what FreeRADIUS 3.2.1 needs to sign its replies.
const signed = "update reply {\n\t\t\t&Message-Authenticator = 0x00\n\t\t}"

// RadiusSetup is what a FreeRADIUS has beside the lab's account.
type RadiusSetup struct {
	Unsigned bool      // replies carry no Message-Authenticator
	Grants   []string  // what the lab's user gets, as in the file users
	Users    string    // more of its file users
	Modules  string    // more of its modules
	MSCHAP   string    // more of its module mschap
	EAP      *Identity // what its EAP shows; nil: it has none
	Method   string    // of EAP, that it proposes: mschapv2, tls or peap
	Beside   string    // more of its configuration, beside its server
	Within   string    // more of its server
	Args     []string  // of the program; none: -X

	Authorize  string            // more of what it does with requests, at first
	Session    string            // what it asks how many sessions a user has
	Accounting string            // more of what it does with records
	Dictionary string            // more of its dictionary
	Files      map[string]string // more files of its directory
}

// Identity is PEM files: a certificate, its key, and the CA of the other end's.
type Identity struct{ Certificate, Key, CA string }

// eapModule has the methods that FreeRADIUS itself needs nothing more for. Inside of PEAP is
// the same server.
const eapModule = `eap {
		default_eap_type = @METHOD@
		timer_expire = 60
		max_sessions = 64
		mschapv2 {
		}
		tls-config common {
			certificate_file = @DIR@/eap.pem
			private_key_file = @DIR@/eap.key
			ca_file = @DIR@/eap-ca.pem
			tls_min_version = "1.2"
			tls_max_version = "1.3"
		}
		tls {
			tls = common
		}
		peap {
			tls = common
			default_eap_type = mschapv2
			virtual_server = default
		}
	}`

// StartRadius starts FreeRADIUS. It signs its replies with a
// Message-Authenticator if sign is true, and grants the lab's user these
// attributes, in the form of its file users.
func (l *Lab) StartRadius(t testing.TB, sign bool, grants ...string) *Radius {
	t.Helper()
	return l.StartRadiusWith(t, RadiusSetup{Unsigned: !sign, Grants: grants})
}

// StartRadiusWith starts a FreeRADIUS that has more.
func (l *Lab) StartRadiusWith(t testing.TB, setup RadiusSetup) *Radius {
	t.Helper()
	dir, err := l.newDir("radius")
	if err != nil {
		t.Fatal(err)
	}
	return l.startRadius(t, dir, setup)
}

// startRadius starts FreeRADIUS in a directory.
func (l *Lab) startRadius(t testing.TB, dir string, setup RadiusSetup) *Radius {
	t.Helper()
	inside := l.inTools(dir)
	parts := map[string]string{
		"@REPLY@": signed, "@MODULES@": setup.Modules, "@MSCHAP@": setup.MSCHAP, "@AUTHORIZE@": setup.Authorize, "@AUTHENTICATE@": "",
		"@SESSION@": setup.Session, "@ACCOUNTING@": setup.Accounting, "@BESIDE@": setup.Beside, "@WITHIN@": setup.Within,
	}
	if setup.Unsigned {
		parts["@REPLY@"] = ""
	}
	files := map[string]string{
		"users": fmt.Sprintf("%s Cleartext-Password := %q\n\t%s\n%s", User, Password,
			strings.Join(append([]string{fmt.Sprintf("Reply-Message := %q", RadiusMessage)}, setup.Grants...), ",\n\t"), setup.Users),
		"dictionary": "$INCLUDE /usr/share/freeradius/dictionary\n" + setup.Dictionary,
	}
	maps.Copy(files, setup.Files)
	if e := setup.EAP; e != nil {
		parts["@MODULES@"] += "\n\t" + strings.ReplaceAll(eapModule, "@METHOD@", setup.Method)
		parts["@AUTHENTICATE@"] = "eap"
		parts["@AUTHORIZE@"] += "eap {\n\t\t\tok = return\n\t\t}"
		for name, from := range map[string]string{"eap.pem": e.Certificate, "eap.key": e.Key, "eap-ca.pem": e.CA} {
			b, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = string(b)
		}
	}
	text := radiusConf
	for from, to := range parts {
		text = strings.ReplaceAll(text, from, to)
	}
	files["radiusd.conf"] = strings.NewReplacer("@DIR@", inside, "@SECRET@", RadiusSecret).Replace(text)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := setup.Args
	if args == nil {
		args = []string{"-X"}
	}
	c := Command(l.Server, append([]string{"chroot", l.tools(), "freeradius", "-n", "radiusd", "-d", inside}, args...)...)
	r := &Radius{run: Start(t, c, filepath.Join(dir, "log")), detail: filepath.Join(dir, "detail")}
	if !Wait(15*time.Second, func() bool { return r.Logged("Ready to process requests") || r.run.Ended() }) || r.run.Ended() {
		t.Fatalf("FreeRADIUS did not start:\n%s", tail(r.run.Output(), 20))
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("FreeRADIUS's log:\n%s", tail(r.run.Output(), 60))
		}
	})
	return r
}

// Stop ends FreeRADIUS.
func (r *Radius) Stop() { r.run.Kill() }

// Logged reports whether FreeRADIUS's debug log has text.
func (r *Radius) Logged(text string) bool { return r.run.Printed(text) }

// Records are the accounting records of kind status, such as "Stop", attributes
// by name.
func (r *Radius) Records(status string) []map[string]string {
	b, err := os.ReadFile(r.detail)
	if err != nil {
		return nil // none yet
	}
	var list []map[string]string
	for block := range strings.SplitSeq(string(b), "\n\n") {
		record := map[string]string{}
		for line := range strings.Lines(block) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
				record[name] = strings.Trim(value, `"`)
			}
		}
		if record["Acct-Status-Type"] == status {
			list = append(list, record)
		}
	}
	return list
}

// Log is FreeRADIUS's debug log.
func (r *Radius) Log() string { return string(r.run.Output()) }

// Accounted is the text of all records of a session.
func (r *Radius) Accounted(session string) (text string) {
	b, err := os.ReadFile(r.detail)
	if err != nil {
		return "" // none yet
	}
	for block := range strings.SplitSeq(string(b), "\n\n") {
		if strings.Contains(block, "Acct-Session-Id = \""+session+"\"") {
			text += block
		}
	}
	return text
}
