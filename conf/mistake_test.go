package conf

import (
	"strings"
	"testing"
)

// What administrators get wrong is named in one line: where it is, what is wrong, and what
// to write. Nothing follows from it, and no error has words of the parser.
func TestTypicalMistakes(t *testing.T) {
	const ipsec, user = "[ipsec]\npsk = \"correct horse battery staple\"\n", "[[user]]\nname = \"alice\"\npassword = \"hunter2\"\n"
	for _, v := range []struct{ text, want string }{
		{"[ipsec]\npsk = \"correct horse\n" + user, "2: a string begins here and does not end: put a quotation mark at its end"},
		{"[ipsec]\npsk = correct horse\"\n" + user, "2: strings stand in quotation marks: the one in front of the value is missing"},
		{"[ipsec]\npsk = correct horse\n" + user, `2: strings stand in quotation marks: write psk = "…"`},
		{"[ipsec]\npsk = “correct horse”\n" + user, `2: the quotation marks are typographic ones, which a text program has made: write " in their place`},
		{"[ipsec]\npsk \"correct horse\"\n" + user, "2: = is missing: write psk = …"},
		{"[ipsec]\npsk: \"correct horse\"\n" + user, "2: write = in place of the colon, as in psk = …"},
		{"[ipsec]\npsk =\n" + user, "2: psk has no value: write one behind =, or # in front of the line"},
		{"[ipsec]\npsk = \"correct\"horse\"\n" + user, `2: something stands behind the string: if a " is part of it, write \" for it, or put '…' around the string`},
		{"[ipsec\npsk = \"correct horse\"\n" + user, "1: a bracket is missing, or there is one too many: write [ipsec]"},
		{"ipsec]\npsk = \"correct horse\"\n" + user, "1: a table's name stands in brackets, as in [ipsec]: the first bracket is missing"},
		{ipsec + "[[user]\nname = \"alice\"\n", "3: a bracket is missing, or there is one too many: write [[user]]"},
		{ipsec + "[user]]\nname = \"alice\"\n", "3: a bracket is missing, or there is one too many: write [[user]]"},
		{ipsec + "[user]\nname = \"alice\"\n", "3: user: must be a list, not a table: write [[user]] in place of [user], once for each"},
		{ipsec + "[[users]]\nname = \"alice\"\n", `3: users: unknown key; did you mean "user"?`},
		{ipsec + user + "pool = \"10.0.0.0/24\"\n", `6: user[0].pool: there is no [[pool]] with the name "10.0.0.0/24": there is none at all`},
		{ipsec + user + "\tpool = [\"10.0.0.0/24\"]\n", "6: user[0].pool: must be a string, not a list: take the brackets away"},
		{ipsec + user + "lan = \"10.0.0.0/24\"\n", "6: user[0].lan: unknown key: it belongs below [network]"},
		{ipsec + user + "[network]\npool = \"10.0.0.0/24\"\n", `7: network.pool: must be a list, not a string: put it in brackets, as in ["…"]`},
		{ipsec + user + "[network]\nmtu = \"1400\"\n", "7: network.mtu: must be a whole number, not a string: take the quotation marks away"},
		{ipsec + user + "[network]\nmtu = 1,400\n", "7: mtu must be a whole number: digits alone, without unit, blank, comma or zero in front"},
		{ipsec + user + "[network]\nmtu = 1400 bytes\n", "7: mtu must be a whole number: digits alone, without unit, blank, comma or zero in front"},
		{ipsec + user + "[network]\nmtu = 1400,\n", "7: nothing stands behind a value: take the comma away"},
		{ipsec + user + "[network]\nmtu == 1400\n", "7: one = is enough"},
		{ipsec + user + "[network] mtu = 1400\n", "6: [network] stands in a line of its own: write what follows in the next one"},
		{ipsec + user + "[network]\nmtu = 1400 dns = [\"9.9.9.9\"]\n", "7: each key stands in a line of its own"},
		{ipsec + user + "[network]\nmasquerade = yes\n", "7: write masquerade = true, or masquerade = false, in small letters"},
		{ipsec + user + "[network]\nmasquerade = \"true\"\n", "7: network.masquerade: must be true or false, not a string: take the quotation marks away"},
		{ipsec + user + "[network]\ndns = 9.9.9.9\n", `7: dns is a list of strings in quotation marks: write dns = ["…"]`},
		{ipsec + user + "[network]\ndns = [9.9.9.9]\n", `7: each string of a list stands in quotation marks, as in ["…", "…"]`},
		{ipsec + user + "[network]\ndns = [\"9.9.9.9\" \"8.8.8.8\"]\n", "7: a comma is missing between two elements of the list"},
		{ipsec + user + "[network]\ndns = [\"9.9.9.9\",, \"8.8.8.8\"]\n", "7: two commas follow each other in the list"},
		{ipsec + user + "[network]\ndns = [\"9.9.9.9\"\nmtu = 1400\n", "7: a list begins here, and what follows is no part of it: put ] at its end, and commas between its elements"},
		{ipsec + user + "[network]\nroutes = (\"10.0.0.0/8\")\n", `7: a list stands in brackets, as in ["…", "…"]`},
		{ipsec + user + "[server]\ndead_peer_timeout = 30s\n", `7: a duration stands in quotation marks, as in dead_peer_timeout = "30s"`},
		{ipsec + user + "[server]\nstate_dir = \"C:\\adit\"\n", `7: a backslash in "…" begins a special character: write it twice, or put '…' around the string`},
		{ipsec + user + "// a comment\n", "6: a comment begins with #"},
		{"ipsec:\n  psk: \"x\"\n", `1: this is YAML, and the configuration is TOML: write [ipsec], and its keys below, as in psk = "…"`},
		{"{\"ipsec\": {}}\n", `1: this is JSON, and the configuration is TOML: a table's name stands in brackets, as in [ipsec], and its keys below, as in psk = "…"`},
		{ipsec + "[[user]]\nname = \"bob\"\npassword = 12345678\n", "5: user[0].password: must be a string, not a number: put it in quotation marks"},
		{ipsec + user + "[radius]\nservers = [\"192.0.2.1:1812\"]\n", "7: radius.servers[0]: must be a table, not a string: write [[radius.servers]] and its keys below, once for each"},
	} {
		_, err := parse("adit.toml", v.text, nil)
		if err == nil || err.Error() != "adit.toml:"+v.want {
			t.Errorf("%q:\n%v, want\nadit.toml:%s", v.text, err, v.want)
		}
		if err != nil && strings.Contains(err.Error(), "horse") {
			t.Errorf("%q: the secret is in the error", v.text)
		}
	}
}
