package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
)

// Suites are what ipsec.ike and ipsec.esp accept: phase 1, ESP, and the groups of
// perfect forward secrecy.
func Suites(c *conf.Config) (phase1 []ike.Suite, esp []ike.ESPSuite, pfs []ike.Group) {
	return ikeSuites(c), espSuites(c), pfsGroups(c)
}

// ikeSuites are the suites of phase 1 that ipsec.ike accepts, in its order, and
// within an element in ours.
func ikeSuites(c *conf.Config) []ike.Suite {
	suites := c.IKESuites()
	return ranked(ike.DefaultSuites(), func(s ike.Suite) int { return suites.Rank(cipherWord(s), hashWord(s.Hash), groupWord(s.Group)) })
}

// espSuites are those of ESP that ipsec.esp accepts.
func espSuites(c *conf.Config) []ike.ESPSuite {
	suites := c.ESPSuites()
	return ranked(ike.DefaultESP(), func(s ike.ESPSuite) int { return suites.RankESP(espWords(s)) })
}

// pfsGroups are the groups that ipsec.esp accepts for perfect forward secrecy.
func pfsGroups(c *conf.Config) []ike.Group {
	suites := c.ESPSuites()
	groups := []ike.Group{}
	for _, s := range ike.DefaultSuites() {
		if suites.PFS(groupWord(s.Group)) && !slices.Contains(groups, s.Group) {
			groups = append(groups, s.Group)
		}
	}
	return groups
}

// ranked returns the elements that have a rank, lowest first.
func ranked[S any](all []S, rank func(S) int) []S {
	list := slices.DeleteFunc(slices.Clone(all), func(s S) bool { return rank(s) < 0 })
	slices.SortStableFunc(list, func(a, b S) int { return cmp.Compare(rank(a), rank(b)) })
	return list
}

// The words of the configuration are the names that suites print as.
func cipherWord(s ike.Suite) string {
	word := strings.ToLower(s.Cipher.String())
	if s.KeyBits > 0 {
		word += fmt.Sprint(s.KeyBits)
	}
	return word
}

func hashWord(h ike.Hash) string { return strings.ToLower(h.String()) }

func groupWord(g ike.Group) string { return strings.ToLower(g.String()) }

// espWords are cipher and hash; AES-GCM has no hash.
func espWords(s ike.ESPSuite) (cipher, hash string) {
	switch s.Cipher {
	case ike.ESPAESCBC:
		cipher = fmt.Sprintf("aes%d", s.KeyBits)
	case ike.ESPAESGCM16:
		return fmt.Sprintf("aes%dgcm16", s.KeyBits), ""
	case ike.ESP3DES:
		cipher = "3des"
	}
	hash, _, _ = strings.Cut(strings.ToLower(s.Auth.String()), "-")
	return cipher, hash
}

// suiteWarnings say which built-in clients ipsec.ike and ipsec.esp keep out.
func suiteWarnings(c *conf.Config) (list []string) {
	for _, b := range BuiltIns() {
		if why := b.Refused(c); why != "" {
			list = append(list, "with their own settings these clients cannot connect: "+b.Name+": "+why)
		}
	}
	return list
}

// suiteFindings say what ipsec.ike and ipsec.esp leave.
func suiteFindings(c *conf.Config) (list []Finding) {
	if len(c.IPsec.IKE) > 0 {
		list = append(list, Finding{What: fmt.Sprintf("ipsec.ike accepts %d of %d suites of phase 1", len(ikeSuites(c)), len(ike.DefaultSuites()))})
	}
	if len(c.IPsec.ESP) > 0 {
		list = append(list, Finding{What: fmt.Sprintf("ipsec.esp accepts %d of %d suites of ESP", len(espSuites(c)), len(ike.DefaultESP()))})
	}
	if len(list) > 0 && len(suiteWarnings(c)) == 0 {
		list = append(list, Finding{What: "every built-in client offers a suite that is accepted"})
	}
	return list
}
