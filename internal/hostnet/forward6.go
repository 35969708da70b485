package hostnet

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	conf6       = "net/ipv6/conf"
	forwarding6 = conf6 + "/all/forwarding"
)

// remember writes a sysctl's former value to the undo record.
func (h *Host) remember(name, old string) error {
	if h.undo.Forwarding == nil {
		h.undo.Forwarding = map[string]string{}
	}
	h.undo.Forwarding[name] = old
	return h.undo.save(h.file)
}

// enableForwarding6 turns IPv6 forwarding on, if it is not on already. A host
// that forwards takes no Router Advertisements unless accept_ra is 2: where one
// was taken, it stays so, or the host would lose its own default route.
func (h *Host) enableForwarding6() error {
	old, err := readSysctl(forwarding6)
	if err != nil {
		return fmt.Errorf("cannot tell whether the host forwards IPv6: %w; without IPv6 on the host leave network.pool6 empty", err)
	}
	if old == "1" {
		return nil
	}
	devices, err := os.ReadDir(filepath.Join(sysctlDir, conf6))
	if err != nil {
		return fmt.Errorf("listing devices with IPv6: %w", err)
	}
	for _, d := range devices {
		name := conf6 + "/" + d.Name() + "/accept_ra"
		if v, err := readSysctl(name); err != nil || v != "1" {
			continue
		}
		if err := h.set6(name, "1", "2"); err != nil {
			return err
		}
	}
	return h.set6(forwarding6, old, "1")
}

func (h *Host) set6(name, old, value string) error {
	if err := h.remember(name, old); err != nil {
		return err
	}
	if err := writeSysctl(name, value); err != nil {
		return fmt.Errorf("cannot turn on IPv6 forwarding: %w; set the sysctl %s=%s, in a container with --sysctl, or leave network.pool6 empty", err, filepath.Base(filepath.Dir(name))+"."+filepath.Base(name), value)
	}
	return nil
}

// enable6 lets a device have IPv6 addresses, which containers often deny.
func enable6(device string) error {
	name := conf6 + "/" + device + "/disable_ipv6"
	if v, err := readSysctl(name); err == nil && v == "0" {
		return nil
	}
	if err := writeSysctl(name, "0"); err != nil {
		return fmt.Errorf("cannot have IPv6 on %s: %w; in a container set the sysctl net.ipv6.conf.all.disable_ipv6=0, or leave network.pool6 empty", device, err)
	}
	return nil
}
