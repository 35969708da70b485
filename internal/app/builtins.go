package app

import (
	"slices"
	"strings"

	"github.com/adit-vpn/adit/conf"
)

// BuiltIn is a client that a system has built in, and what it offers, in the words
// of ipsec.ike and ipsec.esp, as docs/clients.md has it.
type BuiltIn struct {
	Name string
	IKE  []string // suites of phase 1 that are accepted by default
	ESP  []string
	PFS  string // the group of perfect forward secrecy that it insists on, "": none
}

// BuiltIns are all that docs/clients.md knows of.
func BuiltIns() []BuiltIn {
	windows := []string{"aes256-sha1-ecp384", "aes128-sha1-ecp256", "aes256-sha1-modp2048", "3des-sha1-modp2048", "3des-sha1-modp1024"}
	apple := []string{
		"aes256-sha256-modp2048", "aes256-sha1-modp2048", "aes256-sha512-modp2048", "aes256-sha256-modp1536", "aes256-sha1-modp1536",
		"aes256-sha256-modp1024", "aes256-sha1-modp1024", "aes128-sha1-modp1024", "3des-sha1-modp1024",
	}
	return []BuiltIn{
		{Name: "Windows 8.1, 10, 11 and Windows Server", IKE: windows, ESP: []string{"aes256-sha1", "aes128-sha1", "3des-sha1"}},
		{Name: "Windows 7", IKE: windows, ESP: []string{"aes128-sha1", "3des-sha1"}},
		{Name: "macOS, iOS, iPadOS", IKE: apple, ESP: product([]string{"aes256", "aes128", "3des"}, "sha256", "sha1")},
		{Name: "iOS before 14, macOS before 11", IKE: apple, ESP: []string{"aes256-sha1", "aes128-sha1", "3des-sha1"}},
		{
			Name: "Android 7.1 to 11",
			IKE: []string{
				"aes256-sha384-modp1024", "aes256-sha256-modp1024", "aes256-sha512-modp1024", "aes256-sha1-modp1024", "aes128-sha512-modp1024",
				"aes128-sha384-modp1024", "aes128-sha256-modp1024", "aes128-sha1-modp1024", "3des-sha256-modp1024", "3des-sha1-modp1024",
			},
			ESP: product([]string{"aes256", "aes128", "3des"}, "sha512", "sha384", "sha1", "sha256"),
		},
		{
			Name: "Android 4.3 to 7.0",
			IKE: []string{
				"aes256-sha256-modp1024", "aes256-sha1-modp1024", "aes128-sha256-modp1024", "aes128-sha1-modp1024", "3des-sha256-modp1024", "3des-sha1-modp1024",
			},
			ESP: product([]string{"aes256", "aes128", "3des"}, "sha256", "sha1"),
		},
		{
			Name: "ChromeOS",
			IKE:  []string{"aes128-sha256-modp3072", "aes128-sha1-modp2048", "3des-sha1-modp1536", "3des-sha1-modp1024", "aes128-sha256-ecp256"},
			ESP:  []string{"aes128gcm16", "aes128-sha256", "aes128-sha1", "3des-sha1"},
		},
		{
			Name: "Linux: NetworkManager-l2tp with strongSwan",
			IKE: []string{
				"aes256-sha256-modp2048", "aes256-sha256-modp1536", "aes256-sha256-modp1024", "aes256-sha1-modp2048", "aes256-sha1-modp1536",
				"aes256-sha1-modp1024", "aes256-sha1-ecp384", "aes128-sha1-modp1024", "aes128-sha1-ecp256", "3des-sha1-modp2048", "3des-sha1-modp1024",
			},
			ESP: []string{"aes256-sha1", "aes128-sha1", "3des-sha1"},
		},
		{
			Name: "Linux: NetworkManager-l2tp with libreswan",
			IKE: []string{
				"aes256-sha256-modp2048", "aes256-sha256-modp1536", "aes256-sha1-modp2048", "aes256-sha1-modp1536", "aes256-sha1-ecp384",
				"aes128-sha1-ecp256", "3des-sha1-modp2048",
			},
			ESP: []string{"aes256-sha1", "aes128-sha1", "3des-sha1"}, PFS: "modp2048",
		},
		{
			Name: "MikroTik RouterOS",
			IKE:  []string{"aes128-sha1-modp2048", "aes128-sha1-modp1024", "3des-sha1-modp2048", "3des-sha1-modp1024"},
			ESP:  []string{"aes256-sha1", "aes192-sha1", "aes128-sha1"}, PFS: "modp1024",
		},
	}
}

func product(ciphers []string, hashes ...string) (list []string) {
	for _, c := range ciphers {
		for _, h := range hashes {
			list = append(list, c+"-"+h)
		}
	}
	return list
}

// Refused says why a configuration refuses a built-in client, "" if it does not.
func (b BuiltIn) Refused(c *conf.Config) string {
	phase1, esp := c.IKESuites(), c.ESPSuites()
	left := func(s string) bool {
		w := strings.Split(s, "-")
		return phase1.Rank(w[0], w[1], w[2]) >= 0
	}
	leftESP := func(s string) bool {
		cipher, hash, _ := strings.Cut(s, "-")
		return esp.RankESP(cipher, hash) >= 0
	}
	switch {
	case !slices.ContainsFunc(b.IKE, left):
		return "ipsec.ike accepts none of what it offers: " + strings.Join(b.IKE, ", ")
	case !slices.ContainsFunc(b.ESP, leftESP):
		return "ipsec.esp accepts none of what it offers: " + strings.Join(b.ESP, ", ")
	case b.PFS != "" && !esp.PFS(b.PFS):
		return "ipsec.esp does not accept " + b.PFS + " for perfect forward secrecy, which it insists on"
	default:
		return ""
	}
}
