package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/adit-vpn/adit/test/cmd/lab"
)

// Where Debian's packages softether-vpnserver and softether-vpncmd install their
// files.
const (
	softEtherServer = "/usr/libexec/softether/vpnserver/vpnserver"
	softEtherTool   = "vpncmd"
	softEtherTap    = "tap_se"
)

// softEtherState are the directories that the server writes to. It gets its own
// copies of them.
var softEtherState = []string{"/var/lib/softether", "/var/log/softether", "/run/softether"}

// softEtherSetup configures a hub whose inside is a tap device, with addresses
// from SoftEther's DHCP and no NAT, and with L2TP over IPsec.
const softEtherSetup = `HubCreate VPN /PASSWORD:hub
IPsecEnable /L2TP:yes /L2TPRAW:no /ETHERIP:no /PSK:%[1]q /DEFAULTHUB:VPN
BridgeCreate VPN /DEVICE:se /TAP:yes
Hub VPN
UserCreate %[2]s /GROUP:none /REALNAME:none /NOTE:none
UserPasswordSet %[2]s /PASSWORD:%[3]q
SecureNatHostSet /MAC:none /IP:10.83.0.254 /MASK:255.255.0.0
DhcpSet /START:10.83.0.10 /END:10.83.0.200 /MASK:255.255.0.0 /EXPIRE:86400 /GW:none /DNS:none /DNS2:none /DOMAIN:none /LOG:no
NatDisable
DhcpEnable
SecureNatEnable
LogDisable packet
LogDisable security
Flush
`

// startSoftEther starts SoftEther's server, and connects our client to it.
func startSoftEther(ctx context.Context, l *lane) error {
	for _, program := range []string{softEtherServer, softEtherTool} {
		if _, err := exec.LookPath(program); err != nil {
			return errors.New("softether-vpnserver and softether-vpncmd are not installed: test/install-deps bench does it, on Debian")
		}
	}
	for _, dir := range softEtherState {
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.MkdirAll(l.own(dir), 0o700)); err != nil {
			return err
		}
	}
	if err := l.launchSoftEther(ctx); err != nil {
		return err
	}
	if err := l.softEtherAnswers(ctx); err != nil {
		return err
	}
	orders := filepath.Join(l.dir, "orders")
	if err := os.WriteFile(orders, fmt.Appendf(nil, softEtherSetup, softEtherPSK, user, password), 0o600); err != nil {
		return err
	}
	if out, err := l.softEther(ctx, "/IN:"+orders).CombinedOutput(); err != nil {
		return fmt.Errorf("vpncmd: %w: %s", err, lastLines(out))
	}
	// Its identity is the address on which it listens, so it has to be a specific
	// one.
	l.server.kill()
	config := filepath.Join(l.own(softEtherState[0]), "vpn_server.config")
	b, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	b = bytes.ReplaceAll(b, []byte("ListenIP 0.0.0.0"), []byte("ListenIP "+outsideServer))
	if err := os.WriteFile(config, b, 0o600); err != nil {
		return err
	}
	if err := l.launchSoftEther(ctx); err != nil {
		return err
	}
	if err := l.softEtherInside(ctx); err != nil {
		return err
	}
	return l.startClient(ctx, "load", "-server", outsideServer, "-first", outsideClient, "-inside", insideNet,
		"-group", fmt.Sprint(modp2048), "-hash", "sha1", "-esp", "cbc-sha1", "-psk", softEtherPSK, "-user", user, "-password", password)
}

// softEtherPSK is short: SoftEther accepts no more than nine characters.
const softEtherPSK = "benchmark"

// own is the directory that the server sees instead of dir.
func (l *lane) own(dir string) string { return filepath.Join(l.dir, strings.ReplaceAll(dir, "/", "_")) }

// launchSoftEther starts the server. Its mounts and processes are in namespaces of
// their own, and end with it.
func (l *lane) launchSoftEther(ctx context.Context) (err error) {
	script := "mount --make-rprivate /"
	for _, dir := range softEtherState {
		script += fmt.Sprintf(" && mount --bind %s %s", l.own(dir), dir)
	}
	script += " && exec " + softEtherServer + " execsvc"
	l.server, err = l.start(ctx, l.srv, nil, append(onServerCore(), "unshare", "-m", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", script)...)
	return err
}

// softEtherAnswers waits until the server answers commands.
func (l *lane) softEtherAnswers(ctx context.Context) error {
	for until := time.Now().Add(15 * time.Second); ; {
		out, err := l.softEther(ctx, "/CMD", "ServerInfoGet").CombinedOutput()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(until) {
			return fmt.Errorf("SoftEther did not start: %w: %s; it said: %w", err, lastLines(out), l.server.complaint())
		}
		lab.Pause(ctx, 100*time.Millisecond)
	}
}

func (l *lane) softEther(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.srv, softEtherTool, "127.0.0.1", "/SERVER"}, args...)...)
}

// softEtherInside gives the tap device, as soon as it exists, the address to which
// flows go, and waits until the server has opened its ports.
func (l *lane) softEtherInside(ctx context.Context) (err error) {
	for until := time.Now().Add(15 * time.Second); ctx.Err() == nil && time.Now().Before(until); lab.Pause(ctx, 100*time.Millisecond) {
		if err = lab.Commands(ctx,
			"ip -n "+l.srv+" addr replace "+insideServer+"/16 dev "+softEtherTap,
			"ip -n "+l.srv+" link set "+softEtherTap+" up",
		); err != nil {
			continue
		}
		var out []byte
		out, err = exec.CommandContext(ctx, "ip", "netns", "exec", l.srv, "ss", "-lunH").Output()
		if err == nil && bytes.Contains(out, []byte(":4500")) && bytes.Contains(out, []byte(":500 ")) {
			return nil
		}
	}
	return errors.Join(errors.New("SoftEther did not open its device and ports"), err, ctx.Err())
}

// lastLines is the end of a program's output, in one line.
func lastLines(out []byte) string {
	f := strings.FieldsFunc(strings.TrimSpace(string(out)), func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(f[max(0, len(f)-4):], " ")
}
