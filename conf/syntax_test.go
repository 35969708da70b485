package conf

import (
	"strings"
	"testing"
)

// A secret whose quotes somebody forgot shows in no error, and so in no log of
// a reload.
func TestErrorsOfSyntaxQuoteNoSecret(t *testing.T) {
	for _, text := range []string{
		"[ipsec]\npsk = hunter2\n",
		"[ipsec]\npsk = 0123456789abcdef\n",
		"[ipsec]\npsk = [\n  \"one that is right\",\n  hunter2,\n]\n",
		"[[user]]\nname = \"alice\"\npassword = hunter2\n",
		"[radius]\nservers = [{ address = \"192.0.2.1:1812\", secret = hunter2 }]\n",
		"[[user]]\nname = \"alice\"\nnt_hash = 0123456789abcdef0123456789abcdef\n",
	} {
		_, err := parse("adit.toml", text, nil)
		if err == nil {
			t.Fatalf("%q was accepted", text)
		}
		if s := err.Error(); strings.Contains(s, "hunter") || strings.Contains(s, "0123") {
			t.Errorf("%q: the error shows the secret: %v", text, err)
		} else if !strings.Contains(s, "adit.toml:") {
			t.Errorf("%q: the error names no line: %v", text, err)
		}
	}
}

// A limit that no memory holds is an error at the start, not a panic.
func TestLimitsAreBounded(t *testing.T) {
	for _, key := range []string{"connections", "half_open", "half_open_per_source", "stranger_memory"} {
		text := "[ipsec]\npsk = \"a pre-shared key of good length\"\n[limits]\n" + key + " = 9223372036854775807\n"
		if _, err := parse("adit.toml", text, nil); err == nil || !strings.Contains(err.Error(), "limits."+key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// What is not secret is shown: a duplicate key, what was expected.
func TestErrorsOfSyntaxSayWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"[ipsec]\npsk = \"hunter2\"\npsk = \"hunter3\"\n":                                            "adit.toml:3: ipsec.psk is set already, in line 2: keep one of the two",
		"# a key\n[ipsec]\npsk = \"hunter2\"\n[network]\nmtu = 1300\n\n[ipsec]\naggressive = true\n": "adit.toml:7: [ipsec] is there already, from line 2 on, and a table stands in a file once: move the keys below this line there",
		"[ipsec]\n[ 'ipsec' ]\n": "adit.toml:2: [ipsec] is there already, from line 1 on",
		"[[user]]\nname = \"a\"\n[[user]]\nname = \"b\"\npassword = \"hunter2\"\nname = \"c\"\n": "adit.toml:6: user.name is set already, in line 4",
		"[[user]]\nname = \"a\"\n[user]\nname = \"b\"\n":                                         "adit.toml:3: [user] cannot stand here: it is [[user]] in line 1",
		"[user]\nname = \"a\"\n[[user]]\nname = \"b\"\n":                                         "adit.toml:3: [[user]] cannot stand here: it is [user] in line 1",
		"ipsec = { psk = \"hunter2\" }\n[ipsec]\n":                                               "adit.toml:2: [ipsec] cannot stand here: it is ipsec in line 1",
		"[radius]\nservers = []\n[[radius.servers]]\n":                                           "adit.toml:3: [[radius.servers]] cannot stand here: it is radius.servers in line 2",
		"server.public = \"a\"\nserver.public = \"b\"\n":                                         "adit.toml:2: server.public is set already, in line 1",
		"[ipsec\npsk = \"hunter2\"\n":                                                            "adit.toml:1: a bracket is missing, or there is one too many: write [ipsec]",
		"[ipsec]\npsk = hunter2\n":                                                               "strings stand in quotation marks",
		"[ipsec]\npsk = \"hunter2\n":                                                             "adit.toml:2: a string begins here and does not end: put a quotation mark at its end",
		"[server]\npublic = 'vpn\n":                                                              "adit.toml:2: a string begins here and does not end",
		"[server]\nstate_dir = /var/lib/adit\n":                                                  "adit.toml:2: strings stand in quotation marks: write state_dir = \"…\"",
	} {
		_, err := parse("adit.toml", text, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
