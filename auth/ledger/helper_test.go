package ledger

import (
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
)

var begin = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// record is one of a session, with everything that a record has.
func record(id string, status auth.Status, octets uint64) auth.Record {
	return auth.Record{
		Status: status, User: "al\xffice", By: auth.ByRADIUS, Method: auth.MSCHAPv2,
		Call: auth.Call{SessionID: id, Port: 7, PortID: "l2tp-7", Remote: netip.MustParseAddrPort("198.51.100.7:4500"),
			Local: netip.MustParseAddrPort("[2001:db8::1]:4500"), ClientName: "pc\x00", RASName: "MSRAS-0-PC\xff", RASVersion: "MSRASV5.20", Group: "staff", Info: "L2TP", Multi: "m", Links: 2},
		Address: netip.MustParseAddr("10.83.0.2"),
		IPv6: auth.IPv6{Address: netip.MustParseAddr("2001:db8::2"), Prefix: netip.MustParsePrefix("2001:db8:1::/64"),
			Delegated: netip.MustParsePrefix("2001:db8:2::/56"), Interface: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}},
		Class: [][]byte{{0, 1}, []byte("c")}, LogonDomain: []byte("\x00CORP"), Time: begin.Add(time.Duration(octets) * time.Second), Duration: time.Duration(octets) * time.Second,
		InputOctets: octets, OutputOctets: 2 * octets, InputPackets: 3 * octets, OutputPackets: 4 * octets,
	}
}

// problems collects what an administrator is told.
type problems struct {
	mu   sync.Mutex
	list []string
}

func (p *problems) tell(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, text)
}

func (p *problems) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.list...)
}

// open opens a ledger that is closed at the end.
func open(t *testing.T, path string) (*Ledger, *problems) {
	t.Helper()
	p := &problems{}
	l := Open(Config{Path: path, Problem: p.tell})
	t.Cleanup(l.Close)
	return l, p
}

// take gives all records that can be sent, and says that they were taken.
func take(l *Ledger) (list []auth.Record) {
	for {
		e, _ := l.Next(time.Now())
		if e == nil {
			return list
		}
		list = append(list, e.Record)
		l.Done(e)
	}
}

// killed is a copy of the file as a crash leaves it.
func killed(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "killed")
	if err := os.WriteFile(copied, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}
