//go:build real

package lab

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Capture records what passes a device.
type Capture struct {
	lab  *Lab
	dir  string
	dump *Process
}

// Capture starts recording what the server sends and receives outside.
func (l *Lab) Capture(t testing.TB) *Capture {
	t.Helper()
	// The kernel would cut the server's trains of packets only behind the
	// place where they are recorded.
	Run(t, l.Server, "ip", "link", "set", "eth0", "gso_max_segs", "1")
	t.Cleanup(func() { Run(t, l.Server, "ip", "link", "set", "eth0", "gso_max_segs", "65535") })
	return l.CaptureOn(t, l.Server, "eth0", "udp port 500 or udp port 4500 or proto 50")
}

// CaptureOn starts recording what passes a device of a namespace, or what a filter takes of it.
func (l *Lab) CaptureOn(t testing.TB, ns, device string, filter ...string) *Capture {
	t.Helper()
	dir, err := l.newDir("capture")
	if err != nil {
		t.Fatal(err)
	}
	c := Command(ns, append([]string{"chroot", l.tools(), "tcpdump", "-i", device, "--immediate-mode", "-U", "-s", "2048", "-Z", "root", "-B", "16384",
		"-w", filepath.Join(l.inTools(dir), "pcap")}, filter...)...)
	k := &Capture{lab: l, dir: dir, dump: Start(t, c, filepath.Join(dir, "log"))}
	if !Wait(10*time.Second, func() bool { return k.dump.Printed("listening on") || k.dump.Ended() }) || k.dump.Ended() {
		t.Fatalf("tcpdump did not start: %s", k.dump.Output())
	}
	return k
}

// Stop ends recording and expects that nothing was missed.
func (k *Capture) Stop(t testing.TB) {
	t.Helper()
	if err := k.dump.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := k.dump.Exit(10 * time.Second); code != 0 || !k.dump.Printed("\n0 packets dropped by kernel") {
		t.Errorf("tcpdump ended with %d: %s", code, k.dump.Output())
	}
}

// Kinds has tshark count the packets of the recording by the protocols that it finds in them,
// as in "eth:ethertype:ip:esp".
func (k *Capture) Kinds(t testing.TB) map[string]int {
	t.Helper()
	c := Command(k.lab.Server, "chroot", k.lab.tools(), "tshark", "-r", filepath.Join(k.lab.inTools(k.dir), "pcap"), "-T", "fields", "-e", "frame.protocols")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	kinds := map[string]int{}
	for line := range strings.Lines(string(out)) {
		kinds[strings.TrimSpace(line)]++
	}
	return kinds
}

// Decode has tshark decrypt the recording with the keys that the server wrote
// to the directory keys, and returns the values of the fields, a packet a row:
// those that occur more than once in a packet are separated by commas.
func (k *Capture) Decode(t testing.TB, keys string, fields ...string) [][]string {
	t.Helper()
	profile := filepath.Join(k.dir, "profile")
	if err := os.CopyFS(profile, os.DirFS(keys)); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"env", "WIRESHARK_CONFIG_DIR=" + k.lab.inTools(profile), "chroot", k.lab.tools(),
		"tshark", "-r", filepath.Join(k.lab.inTools(k.dir), "pcap"),
		"-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE",
		"-o", "tcp.analyze_sequence_numbers:FALSE", // of TCP inside the tunnel, which is not the server's
		"-T", "fields", "-E", "separator=/t",
	}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	c := Command(k.lab.Server, args...)
	out, err := c.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}
