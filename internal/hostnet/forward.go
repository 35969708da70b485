package hostnet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	sysctlDir  = "/proc/sys"
	forwarding = "net/ipv4/ip_forward"
)

// enableForwarding turns IPv4 forwarding on, if it is not on already.
func (h *Host) enableForwarding() error {
	old, err := readSysctl(forwarding)
	if err != nil {
		return fmt.Errorf("cannot tell whether the host forwards IPv4: %w", err)
	}
	if old == "1" {
		return nil
	}
	if err := h.remember(forwarding, old); err != nil {
		return err
	}
	if err := writeSysctl(forwarding, "1"); err != nil {
		return fmt.Errorf("cannot turn on IPv4 forwarding: %w; run `sysctl -w net.ipv4.ip_forward=1`, in a container set the sysctl net.ipv4.ip_forward=1, or set network.masquerade = false", err)
	}
	return nil
}

// Forwarding reports whether the host forwards IPv4.
func Forwarding() (bool, error) {
	v, err := readSysctl(forwarding)
	return v == "1", err
}

// Forwarding6 reports whether the host forwards IPv6.
func Forwarding6() (bool, error) {
	v, err := readSysctl(forwarding6)
	return v == "1", err
}

func readSysctl(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(sysctlDir, name))
	return strings.TrimSpace(string(b)), err
}

func writeSysctl(name, value string) error {
	return os.WriteFile(filepath.Join(sysctlDir, name), []byte(value+"\n"), 0o644)
}
