package hostnet

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWantedBySysctlFiles(t *testing.T) {
	dir := t.TempDir()
	was := sysctlFiles
	sysctlFiles = []string{filepath.Join(dir, "*.conf")}
	defer func() { sysctlFiles = was }()
	file := filepath.Join(dir, "9.conf")
	for text, want := range map[string]bool{
		"# net.ipv4.ip_forward=1\n":                      false,
		"net.ipv4.ip_forward = 1\n":                      true,
		"net/ipv4/ip_forward=1":                          true,
		"-net.ipv4.conf.all.forwarding=1":                true,
		"net.ipv4.ip_forward=0":                          false,
		"net.ipv6.conf.all.forwarding=1":                 false,
		"net.ipv4.conf.*.forwarding=1":                   true,
		"net.ipv4.conf.eth0.forwarding=1":                false,
		"net/ipv4/conf/*/forwarding = 1":                 true,
		"net.ipv4.ip_*=1":                                true,
		"net.ipv4.[=1":                                   false,
		"=1":                                             false,
		"a=b\n\n;x\nkernel.y = 2\nnet.ipv4.ip_forward=1": true,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := wanted(forwarding, "1"); (got == file) != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestWantedByNetworkd(t *testing.T) {
	dir := t.TempDir()
	was, was2 := sysctlFiles, networkdFiles
	sysctlFiles, networkdFiles = nil, []string{filepath.Join(dir, "*.network")}
	defer func() { sysctlFiles, networkdFiles = was, was2 }()
	file := filepath.Join(dir, "lan.network")
	for text, want := range map[string][2]bool{ // IPv4, IPv6
		"[Match]\nName=lan0\n[Network]\nIPForward=yes":   {true, true},
		"[Network]\nIPForward=ipv4":                      {true, false},
		"[Network]\nIPForward = IPv6":                    {false, true},
		"[Network]\nIPForward=no":                        {false, false},
		"[Network]\n#IPForward=yes":                      {false, false},
		"[Network]\nIPv4Forwarding=true":                 {true, false},
		"[Network]\nIPv6Forwarding=on":                   {false, true},
		"[Network]\nIPMasquerade=both":                   {true, true},
		"[Network]\nIPMasquerade=yes":                    {true, false},
		"[Network]\nIPMasquerade=ipv6":                   {false, true},
		"[Network]\nIPForwarding=yes\nDHCPServer=yes":    {false, false},
		"[Network]\nDHCPServer=yes\nIPMasquerade=ipv4\n": {true, false},
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{forwarding, forwarding6} {
			if got := wanted(name, "1"); (got == file) != want[i] {
				t.Errorf("%q: %s is wanted by %q", text, name, got)
			}
		}
	}
}
