//go:build real

package real

import (
	"slices"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// What NetworkManager-l2tp configures, in the words of each daemon.
const (
	desktopStrongSwan = "aes256-sha2_256-modp2048,aes256-sha2_256-modp1536,aes256-sha2_256-modp1024,aes256-sha1-modp2048," +
		"aes256-sha1-modp1536,aes256-sha1-modp1024,aes256-sha1-ecp384,aes128-sha1-modp1024,aes128-sha1-ecp256," +
		"3des-sha1-modp2048,3des-sha1-modp1024!"
	desktopLibreswan = "aes256-sha2_256-modp2048,aes256-sha2_256-modp1536,aes256-sha1-modp2048,aes256-sha1-modp1536," +
		"aes256-sha1-ecp_384,aes128-sha1-ecp_256,3des-sha1-modp2048"
)

// A desktop with unmodified daemons connects with the suites that its plugin configures, and from
// another port where a program has 1701: then its policy names no protocol and
// no port of its own.
func TestDesktopsConnect(t *testing.T) {
	for _, test := range []struct {
		name string
		c    lab.Client
		esp  string
	}{
		{"NetworkManager with strongSwan", lab.Client{NAT: true, Args: []string{"--ike", desktopStrongSwan}}, "AES-CBC-256/SHA1-96"},
		{"NetworkManager with strongSwan, port 1701 in use", lab.Client{NAT: true, Args: []string{"--ike", desktopStrongSwan, "--ephemeral"}}, "AES-CBC-256/SHA1-96"},
		{"NetworkManager with libreswan", lab.Client{Kind: "libreswan", NAT: true, Args: []string{"--ike", desktopLibreswan, "--pfs"}}, "AES-CBC-256/SHA1-96/MODP2048"},
		{"ChromeOS", lab.Client{NAT: true, Args: []string{
			"--ike", "aes128-sha256-modp3072,aes128-sha1-modp2048,3des-sha1-modp1536,3des-sha1-modp1024",
			"--esp", "aes128gcm16,aes128-sha256,aes128-sha1,3des-sha1,3des-md5", "--mtu", "1410",
		}}, "AES-GCM16-128"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := here.Serve(t, nil)
			g := here.Connect(t, test.c) // and pings
			x := s.Session(t)
			t.Logf("%s: IKE %s, ESP %s, %s", x.Client, x.IKE, x.ESP, x.Method)
			own := contains(g.Exec(t, "ip xfrm policy"), "sport 1701 dport 1701")
			if open := slices.Contains(test.c.Args, "--ephemeral"); own == open {
				t.Errorf("its policy names port 1701 of its own: %v, want %v", own, !open)
			}
			if !contains(x.ESP, test.esp) {
				t.Errorf("ESP is %s, want %s", x.ESP, test.esp)
			}
			g.HangUp(t)
			if !lab.Wait(patience, func() bool { return len(s.Status(t).Sessions) == 0 }) {
				t.Error("the session is still there after the client said goodbye")
			}
			s.Stop(t)
		})
	}
}
