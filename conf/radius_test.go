package conf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const radiusFile = "[auth]\nbackend = \"radius\"\n[radius]\n"

// What is wrong with a RADIUS server is said, with the line and what to write.
func TestRADIUSServersThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"servers = [{ accounting = 'r:1813', secret = 's' }]\n":                                                                                       "4: radius.servers: none of them has an address for authentication",
		"servers = [{ secret = 's' }]\n":                                                                                                              "4: radius.servers[0].address: missing: name the server",
		"servers = [{ address = 'r:1812' }]\n":                                                                                                        "4: radius.servers[0].secret: missing: set it, or secret_file",
		"servers = [{ address = 'r:1812', accounting = 'r:1813', accounting_secret = 's' }]\n":                                                        "4: radius.servers[0].secret: missing",
		"servers = [{ address = 'r:1812', secret = 's', accounting_secret = 't' }]\n":                                                                 "4: radius.servers[0].accounting_secret: does nothing without accounting",
		"servers = [{ address = 'r:1812', secret = 's', weight = -1 }]\n":                                                                             "4: radius.servers[0].weight: must not be negative",
		"servers = [{ address = 'r:1812', secret = 's', realms = ['bob@corp.example'] }]\n":                                                           `4: radius.servers[0].realms[0]: is no realm: write what is behind the @, as in "corp.example"`,
		"servers = [{ address = 'r:1812', secret = 's', tls_name = 'r' }]\n":                                                                          "4: radius.servers[0].tls_name: does nothing without tls_ca",
		"servers = [{ address = 'r:2083', tls_ca = 'ca' }]\n":                                                                                         "4: radius.servers[0].tls_certificate: missing",
		"servers = [{ address = 'r:2083', tls_ca = 'ca', tls_certificate = 'c' }]\n":                                                                  "4: radius.servers[0].tls_private_key: missing",
		"servers = [{ address = 'r:1', accounting = 'r:1', accounting_secret = 's', tls_ca = 'ca', tls_certificate = 'c', tls_private_key = 'k' }]\n": "4: radius.servers[0].accounting_secret: cannot differ over TLS",
		"[[radius.servers]]\naddress = 'r:1'\nsecret = 's'\n[[radius.servers]]\naddress = 'R:1'\nsecret = 't'\n":                                      "8: radius.servers[1].address: r:1 is that of radius.servers[0], too",
		"servers = [{ address = 'a:1', accounting = '[2001:db8::1]:2', secret = 's' }, { accounting = '[2001:DB8:0::1]:2', secret = 's' }]\n":         "4: radius.servers[1].accounting: [2001:db8::1]:2 is that of radius.servers[0], too",
		"servers = [{ address = '192.0.2.1:1812', secret = 's' }]\nsource = '2001:db8::1'\n":                                                          "4: radius.servers[0].address: cannot be reached from radius.source",
		"servers = [{ address = 'r:1812', secret = 's' }]\npatience = '3m'\n":                                                                         "5: radius.patience: must be from 5s to 2m",
		"servers = [{ address = 'r:1812', secret = 's' }]\nnas_ip = '2001:db8::1'\n":                                                                  "5: radius.nas_ip: ",
		"servers = [{ address = 'r:1812', secret = 's', priorty = 1 }]\n":                                                                             `4: radius.servers[0].priorty: unknown key; did you mean "priority"?`,
	} {
		_, err := load(t, radiusFile+text, "ADIT_IPSEC_PSK="+goodPSK)
		var errs Errors
		if !errors.As(err, &errs) || !strings.Contains(err.Error(), ":"+want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

// Keys of earlier versions are read, and a note says that they have no effect.
func TestRADIUSKeysOfEarlierVersions(t *testing.T) {
	c, err := load(t, radiusFile+"servers = [{ address = 'r:1812', secret = 's' }]\ntimeout = \"2s\"\ntries = 5\n", "ADIT_IPSEC_PSK="+goodPSK)
	if err != nil || len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "radius.patience") || c.Radius.Patience != 55*time.Second {
		t.Errorf("%v, %v", c, err)
	}
	if c, err = load(t, radiusFile+"servers = [{ address = 'r:1812', secret = 's' }]\n", "ADIT_IPSEC_PSK="+goodPSK); err != nil || len(c.Notes) != 0 {
		t.Errorf("%v, %v", c, err)
	}
}

// Every key of servers can come from the environment, for each server or for all.
func TestEveryKeyOfRADIUSServersByEnvironment(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("of accounting\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, "", "ADIT_IPSEC_PSK="+goodPSK, "ADIT_AUTH_BACKEND=radius", "ADIT_RADIUS_SERVERS=a:1812,b:2083,", "ADIT_RADIUS_ACCOUNTING=a:1813,b:2083,c:1813",
		"ADIT_RADIUS_SECRET=s", "ADIT_RADIUS_PRIORITY=0,5,", "ADIT_RADIUS_WEIGHT=2", "ADIT_RADIUS_REALMS=corp.example CORP,,", "ADIT_RADIUS_ALLOW_UNSIGNED=false,true,",
		"ADIT_RADIUS_TLS_CA=,/ca,", "ADIT_RADIUS_TLS_CERTIFICATE=,/cert,", "ADIT_RADIUS_TLS_PRIVATE_KEY=,/key,", "ADIT_RADIUS_TLS_NAME=,b.example,",
		"ADIT_RADIUS_PATIENCE=30s", "ADIT_RADIUS_SOURCE=192.0.2.9", "ADIT_RADIUS_NAS_IP=192.0.2.8", "ADIT_RADIUS_NAS_IP6=2001:db8::8", "ADIT_RADIUS_NAS_IDENTIFIER=gate")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.Radius.Servers {
		got = append(got, sprint(s.Address, s.Accounting, s.Priority, s.Weight, s.Realms, s.AllowUnsigned, s.TLSCA, s.TLSCertificate, s.TLSPrivateKey, s.TLSName))
	}
	want := []string{
		sprint("a:1812", "a:1813", 0, 2, []string{"corp.example", "CORP"}, false, "", "", "", ""),
		sprint("b:2083", "b:2083", 5, 2, []string{}, true, "/ca", "/cert", "/key", "b.example"),
		sprint("", "c:1813", 0, 2, []string{}, false, "", "", "", ""),
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("server %d:\n got %s\nwant %s", i, got[i], want[i])
		}
	}
	if r := c.Radius; r.Patience != 30*time.Second || r.Source.String() != "192.0.2.9" || r.NASIP.String() != "192.0.2.8" || r.NASIP6.String() != "2001:db8::8" {
		t.Errorf("%+v", r)
	}
	c, err = load(t, "", "ADIT_IPSEC_PSK="+goodPSK, "ADIT_AUTH_BACKEND=radius", "ADIT_RADIUS_SERVERS=a:1812,b:1812", "ADIT_RADIUS_ACCOUNTING=a:1813,",
		"ADIT_RADIUS_SECRET=s", "ADIT_RADIUS_ACCOUNTING_SECRET_FILE="+key)
	if err != nil || string(c.Radius.Servers[0].AccountingSecret.Reveal()) != "of accounting" || c.Radius.Servers[1].AccountingSecret.Len() != 0 {
		t.Errorf("%v", err)
	}
	for _, name := range radiusVariables[1:] {
		_, err := load(t, "", "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=a:b", name+"=1")
		if err == nil || !strings.Contains(err.Error(), name+": does nothing without servers") {
			t.Errorf("%s alone: %v", name, err)
		}
	}
	for _, bad := range []string{"ADIT_RADIUS_PRIORITY=1,2,3", "ADIT_RADIUS_WEIGHT=much", "ADIT_RADIUS_ALLOW_UNSIGNED=perhaps"} {
		name, _, _ := strings.Cut(bad, "=")
		_, err := load(t, "", "ADIT_IPSEC_PSK="+goodPSK, "ADIT_AUTH_BACKEND=radius", "ADIT_RADIUS_SERVERS=a:1812,b:1812", "ADIT_RADIUS_SECRET=s", bad)
		if err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func sprint(values ...any) string { return strings.TrimSpace(fmt.Sprintln(values...)) }
