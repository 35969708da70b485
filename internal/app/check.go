package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/internal/hostnet"
)

// Finding is one result of Check.
type Finding struct {
	What    string
	Err     error // nil: fine
	Warning bool  // fine, but worth a thought
}

// Check looks whether this host can run the configuration. It changes nothing.
func Check(c *conf.Config) []Finding {
	kernels, err := Kernels()
	list := []Finding{
		{What: named(c.File) + " is valid"},
		{What: "kernels that packets are encrypted with: " + kernels, Err: err},
		{What: "capability NET_ADMIN", Err: checkNetAdmin()},
		{What: "device /dev/net/tun", Err: checkTUN()},
		{What: "state directory " + c.Server.StateDir, Err: checkStateDir(c.Server.StateDir)},
		checkPorts(c),
	}
	if c.IPsec.Certificate != "" {
		list = append(list, checkCertificates(c)...)
	}
	if c.Network.Mode == conf.TUN {
		list = append(list, Finding{What: "no pool overlaps a network of this host", Err: checkPools(c)})
		list = append(list, CheckStatic(c)...)
	}
	if c.Auth.Backend == conf.BackendLocal {
		list = append(list, CheckOverlaps(c)...)
	}
	if c.Network.Mode == conf.TAP && c.Network.Bridge != "" {
		list = append(list, Finding{What: "bridge " + c.Network.Bridge, Err: hostnet.CheckBridge(c.Network.Bridge)})
	}
	if c.Auth.Backend == conf.BackendRadius {
		list = append(list, checkRadius(context.Background(), c)...)
	}
	if c.Network.Mode == conf.TUN {
		list = append(list, checkForwarding(c))
	}
	if c.Network.HasIPv6() {
		list = append(list, checkForwarding6())
	}
	if c.Network.Mode == conf.TUN {
		list = append(list, checkForwardChains(c)...)
		list = append(list, checkGuard(c)...)
	}
	list = append(list, checkLinks(context.Background(), c)...)
	list = append(list, suiteFindings(c)...)
	for _, w := range warnings(c) {
		list = append(list, Finding{What: w, Warning: true})
	}
	return append(list, checkPublic(c.Server.Public)...)
}

func checkPublic(public conf.Host) []Finding {
	if _, err := resolve(context.Background(), public); err != nil {
		return []Finding{{What: "server.public: " + err.Error() + ": clients that dial the name do not get here", Warning: true}}
	}
	if !public.IsValid() && onlyPrivate() {
		return []Finding{{What: "this host has private addresses only: if clients reach it through NAT, set server.public to what they dial", Warning: true}}
	}
	return nil
}

// named is the configuration by its file, if it has one.
func named(file string) string {
	if file == "" {
		return "configuration, of the environment alone,"
	}
	return "configuration " + file
}

func checkNetAdmin() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	if data[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0 {
		return errors.New("missing: run as root, or give the container cap_add: NET_ADMIN")
	}
	return nil
}

func checkTUN() error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%w: load the module tun, or give the container devices: /dev/net/tun", err)
	}
	return f.Close()
}

func checkStateDir(dir string) error {
	if err := checkPrivateDir(dir); err != nil {
		return err
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue // it will be made below the first that exists
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		return unix.Access(dir, unix.W_OK)
	}
}

func checkCertificates(c *conf.Config) []Finding {
	certs, err := loadCertificates(c)
	list := []Finding{{What: "certificates, their key, CAs and revocation lists", Err: err}}
	for _, w := range certs.warnings(time.Now(), c.Server.Public.String()) {
		list = append(list, Finding{What: w, Warning: true})
	}
	return list
}

// checkPorts opens the ports. Ports in use are not errors if adit itself uses them: then
// its control socket answers.
func checkPorts(c *conf.Config) Finding {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	f := Finding{What: "UDP ports 500 and 4500"}
	if c.IPsec.NATTraversal == conf.NATAuto {
		f.What += ", and ESP without UDP"
	}
	s, err := listen(c, quiet, nil)
	if err == nil {
		f.Err = s.close()
		return f
	}
	if errors.Is(err, unix.EADDRINUSE) {
		if _, other := admin.NewClient(c.Admin.Socket).Status(context.Background()); other == nil {
			f.What += ": an adit that runs here has them"
			return f
		}
	}
	f.Err = err
	return f
}

func checkPools(c *conf.Config) error {
	var errs []error
	for _, p := range prefixes(c.Plan()) {
		errs = append(errs, hostnet.Conflict(c.Network.Device, p))
	}
	return errors.Join(errs...)
}

// checkForwarding says whether the host forwards, or will: the server turns forwarding
// on, unless that is left to the administrator.
func checkForwarding(c *conf.Config) Finding {
	on, err := hostnet.Forwarding()
	if err != nil {
		return Finding{What: "IPv4 forwarding", Err: err}
	}
	return forwarding("IPv4", "net.ipv4.ip_forward", on, c.Network.Masquerade, hostnet.MayForward)
}

func checkForwarding6() Finding {
	on, err := hostnet.Forwarding6()
	if err != nil {
		return Finding{What: "IPv6 on this host, for network.pool6", Err: err}
	}
	return forwarding("IPv6", "net.ipv6.conf.all.forwarding", on, true, hostnet.MayForward6)
}

// forwarding judges a sysctl of that name, which the server turns on if may returns
// no error.
func forwarding(family, name string, on, server bool, may func() error) Finding {
	switch {
	case on:
		return Finding{What: family + " forwarding is on"}
	case !server:
		return Finding{Warning: true, What: fmt.Sprintf(
			"%s forwarding is off, and stays so with network.masquerade = false: clients reach nothing behind this host; run `sysctl -w %s=1`, and write %[2]s=1 into a file below /etc/sysctl.d", family, name)}
	}
	if err := may(); err != nil {
		return Finding{What: family + " forwarding", Err: fmt.Errorf(
			"it is off, and cannot be turned on from here (%w): set the sysctl %s=1 on the host, or for the container", err, name)}
	}
	return Finding{What: family + " forwarding is off now: the server turns it on when it starts, and off at its end unless others rely on it then"}
}

// checkForwardChains looks for chains of the host's firewall that drop what
// clients send, or what is sent back.
func checkForwardChains(c *conf.Config) []Finding {
	var findings []Finding
	list, err := obstacles(c)
	if err != nil {
		findings = append(findings, Finding{What: "cannot tell for all chains whether the firewall lets clients' packets pass: " + err.Error(), Warning: true})
	}
	if hostnet.HasLegacyRules() {
		findings = append(findings, Finding{Warning: true, What: "iptables-legacy has rules, which cannot be read here: see whether `iptables-legacy -S FORWARD` drops clients' packets"})
	}
	if len(list) == 0 && err == nil {
		return append(findings, Finding{What: "no forward chain of nftables, or of iptables by nftables, drops clients' packets"})
	}
	for _, text := range list {
		findings = append(findings, Finding{What: text, Warning: true})
	}
	return findings
}

// obstacles are the chains of the host that drop clients' packets, with what to
// do about it.
func obstacles(c *conf.Config) (list []string, err error) {
	if c.Network.Mode != conf.TUN {
		return nil, nil
	}
	found, err := hostnet.Obstacles(c.Network.Device, prefixes(c.Plan()))
	for _, o := range found {
		list = append(list, o.String())
	}
	return list, err
}

// resolve finds the addresses of a host; the zero Host has none.
func resolve(ctx context.Context, host conf.Host) ([]netip.Addr, error) {
	switch {
	case !host.IsValid():
		return nil, nil
	case host.Addr.IsValid():
		return []netip.Addr{host.Addr}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host.Name)
}

// onlyPrivate reports whether no address of this host is a public one.
func onlyPrivate() bool {
	for _, a := range ownAddresses() {
		if a.Is4() && !a.IsPrivate() {
			return false
		}
	}
	return true
}
