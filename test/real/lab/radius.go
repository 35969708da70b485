//go:build real

package lab

import (
	"fmt"
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
raddbdir = %[1]s
logdir = %[1]s
run_dir = %[1]s
security {
	reject_delay = 0
	status_server = no
}
client adit {
	ipaddr = 127.0.0.1
	secret = "%[2]s"
	require_message_authenticator = yes
}
modules {
	pap {
	}
	chap {
	}
	mschap {
	}
	files {
		usersfile = %[1]s/users
	}
	detail {
		filename = %[1]s/detail
	}
}
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
	authorize {
		chap
		mschap
		files
		pap
	}
	authenticate {
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
	accounting {
		detail
	}
	post-auth {
		%[3]s
		Post-Auth-Type REJECT {
			%[3]s
		}
	}
}
`

// signed is what FreeRADIUS 3.2.1 needs to sign its replies.
const signed = "update reply {\n\t\t\t&Message-Authenticator = 0x00\n\t\t}"

// StartRadius starts FreeRADIUS. It signs its replies with a
// Message-Authenticator if sign is true.
func (l *Lab) StartRadius(t testing.TB, sign bool) *Radius {
	t.Helper()
	dir, err := l.newDir("radius")
	if err != nil {
		t.Fatal(err)
	}
	inside := l.inTools(dir)
	reply := ""
	if sign {
		reply = signed
	}
	for name, text := range map[string]string{
		"radiusd.conf": fmt.Sprintf(radiusConf, inside, RadiusSecret, reply),
		"users":        fmt.Sprintf("%s Cleartext-Password := %q\n\tReply-Message := %q\n", User, Password, RadiusMessage),
		"dictionary":   "$INCLUDE /usr/share/freeradius/dictionary\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := Command(l.Server, "chroot", l.tools(), "freeradius", "-X", "-n", "radiusd", "-d", inside)
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
