package hostnet

import (
	"fmt"
	"os"
	"path/filepath"
)

// Forwarding reports whether the host forwards IPv4.
func Forwarding() (bool, error) { return isOn(forwarding) }

// Forwarding6 reports whether the host forwards IPv6.
func Forwarding6() (bool, error) { return isOn(forwarding6) }

// MayForward reports why this process cannot turn on IPv4 forwarding, as in a
// container, whose sysctls are read-only. It changes nothing.
func MayForward() error { return mayWrite(forwarding) }

// MayForward6 is MayForward, of IPv6.
func MayForward6() error { return mayWrite(forwarding6) }

// isOn reports whether a sysctl is not 0: the kernel takes any other number.
func isOn(name string) (bool, error) {
	v, err := readSysctl(name)
	return err == nil && v != "0", err
}

// enableForwarding turns IPv4 forwarding on, if it is not on already.
func (h *Host) enableForwarding() error {
	on, err := Forwarding()
	if err != nil {
		return fmt.Errorf("cannot tell whether the host forwards IPv4: %w", err)
	}
	if on {
		return nil
	}
	if err := h.noteAlong(forwarding); err != nil {
		return err
	}
	if err := h.set(forwarding, "0", "1"); err != nil {
		return fmt.Errorf("cannot turn on IPv4 forwarding: %w; run `sysctl -w net.ipv4.ip_forward=1`, in a container set the sysctl net.ipv4.ip_forward=1, or set network.masquerade = false", err)
	}
	return nil
}

// enableForwarding6 turns IPv6 forwarding on, if it is not on already. A host
// that forwards takes no Router Advertisements unless accept_ra is 2: where one
// was taken, it stays so, or the host would lose its own default route.
func (h *Host) enableForwarding6() error {
	on, err := Forwarding6()
	if err != nil {
		return fmt.Errorf("cannot tell whether the host forwards IPv6: %w; without IPv6 on the host leave network.pool6 empty", err)
	}
	if on {
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
	if err := h.noteAlong(forwarding6); err != nil {
		return err
	}
	return h.set6(forwarding6, "0", "1")
}

func (h *Host) set6(name, was, value string) error {
	if err := h.set(name, was, value); err != nil {
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
