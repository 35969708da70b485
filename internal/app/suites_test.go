package app

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
)

var rewrite = flag.Bool("rewrite", false, "write the table of docs/clients.md anew")

const clientsFile = "../../docs/clients.md"

// TestDocsSayWhatTheyOffer keeps the table of docs/clients.md from drifting.
func TestDocsSayWhatTheyOffer(t *testing.T) {
	const begin, end = "-run WhatTheyOffer -rewrite -->\n", "<!-- end of what they offer -->\n"
	b, err := os.ReadFile(clientsFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", clientsFile)
	}
	table := "| Client | Phase 1 | ESP |\n|---|---|---|\n"
	for _, c := range BuiltIns() {
		esp := "`" + strings.Join(c.ESP, "` `") + "`"
		if c.PFS != "" {
			esp += ", with perfect forward secrecy by `" + c.PFS + "`"
		}
		table += fmt.Sprintf("| %s | `%s` | %s |\n", c.Name, strings.Join(c.IKE, "` `"), esp)
	}
	want := head + begin + table + end + tail
	if want == string(b) {
		return
	}
	if !*rewrite {
		t.Fatalf("%s says something else than BuiltIns: go test ./internal/app -run WhatTheyOffer -rewrite", clientsFile)
	}
	if err := os.WriteFile(clientsFile, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Without ipsec.ike and ipsec.esp everything is accepted, in the server's order,
// and there is no warning; with them a warning names the clients that they keep out.
func TestSuitesOfTheConfiguration(t *testing.T) {
	c := conf.Default()
	phase1, esp, pfs := Suites(c)
	if fmt.Sprint(phase1) != fmt.Sprint(ike.DefaultSuites()) || fmt.Sprint(esp) != fmt.Sprint(ike.DefaultESP()) || len(pfs) != 9 {
		t.Errorf("by default %v, %v and %v are accepted", phase1, esp, pfs)
	}
	if list := append(suiteWarnings(c), suiteFindingTexts(c)...); len(list) != 0 {
		t.Errorf("by default it says %q", list)
	}
	c.IPsec.IKE, c.IPsec.ESP = read[conf.IKEElement](t, "!3des"), read[conf.ESPElement](t, "aes128-sha1", "aes")
	phase1, esp, _ = Suites(c)
	if esp[0].String() != "AES-CBC-128/SHA1-96" || len(esp) != 12 || len(phase1) != 108 {
		t.Errorf("%v and %d suites of phase 1 are accepted", esp, len(phase1))
	}
	want := []string{"ipsec.ike accepts 108 of 144 suites of phase 1", "ipsec.esp accepts 12 of 19 suites of ESP", "every built-in client offers a suite that is accepted"}
	if got := append(suiteWarnings(c), suiteFindingTexts(c)...); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("it says %q, want %q", got, want)
	}
	c.IPsec.IKE, c.IPsec.ESP = read[conf.IKEElement](t, "!modp1024"), read[conf.ESPElement](t, "!modp1024")
	text := strings.Join(warnings(c), "\n")
	for _, who := range []string{"Android 7.1 to 11: ipsec.ike accepts none of what it offers: aes256-sha384-modp1024", "Android 4.3 to 7.0: ", "MikroTik RouterOS: ipsec.esp does not accept modp1024"} {
		if !strings.Contains(text, who) {
			t.Errorf("no %q in %s", who, text)
		}
	}
	if n := strings.Count(text, "\n") + 1; n != 3 {
		t.Errorf("%d clients are named:\n%s", n, text)
	}
}

func suiteFindingTexts(c *conf.Config) (list []string) {
	for _, f := range suiteFindings(c) {
		list = append(list, f.What)
	}
	return list
}

// A reload applies them to new connections.
func TestSuitesApplyToNewConnectionsAfterAReload(t *testing.T) {
	old, now := conf.Default(), conf.Default()
	now.IPsec.IKE, now.IPsec.ESP = read[conf.IKEElement](t, "!3des"), read[conf.ESPElement](t, "!3des")
	if r := compare(old, now); fmt.Sprint(r.New) != "[ipsec.ike ipsec.esp]" || len(r.Live)+len(r.Restart) != 0 {
		t.Errorf("a reload says %+v", r)
	}
}
