package app

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"layeh.com/radius"
	"layeh.com/radius/rfc2866"

	"github.com/adit-vpn/adit/auth"
)

// accountant is an accounting server that answers, if it does.
func accountant(t *testing.T, answers bool) (address string, got <-chan *radius.Packet) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := make(chan *radius.Packet, 100)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			p, err := radius.Parse(append([]byte(nil), buf[:n]...), []byte("secret of both"))
			if err != nil || !answers {
				continue
			}
			b, _ := p.Response(radius.CodeAccountingResponse).Encode()
			_, _ = conn.WriteTo(b, from)
			c <- p
		}
	}()
	return conn.LocalAddr().String(), c
}

func servers(address string) string {
	return fmt.Sprintf(`[{ address = %q, accounting = %[1]q, secret = "secret of both" }]`, address)
}

var session1 = auth.Record{
	Status: auth.Start, User: "alice", By: auth.ByLocal, Time: time.Now(), Address: netip.MustParseAddr("10.83.0.2"),
	Call: auth.Call{SessionID: "1", Remote: netip.MustParseAddrPort("198.51.100.7:4500"), Local: netip.MustParseAddrPort("192.0.2.1:4500")},
}

// Local users are accounted if a server is configured for it. It hears of the start and of the
// stop, before and after everything else.
func TestLocalUsersAreAccounted(t *testing.T) {
	address, got := accountant(t, true)
	h := startHost(t, settingsOf{"radius.servers": servers(address)})
	want := func(status rfc2866.AcctStatusType) *radius.Packet {
		t.Helper()
		p := <-got
		if s := rfc2866.AcctStatusType_Get(p); s != status {
			t.Errorf("%v came, want %v", s, status)
		}
		return p
	}
	want(rfc2866.AcctStatusType_Value_AccountingOn)
	h.radius.Account(session1)
	if p := want(rfc2866.AcctStatusType_Value_Start); rfc2866.AcctAuthentic_Get(p) != rfc2866.AcctAuthentic_Value_Local {
		t.Errorf("authenticated by %v", rfc2866.AcctAuthentic_Get(p))
	}
	h.stop()
	want(rfc2866.AcctStatusType_Value_AccountingOff)
}

func TestWithoutAnAccountingServerThereIsNoLedger(t *testing.T) {
	h := startHost(t, nil)
	if h.radius != nil || h.accounting() != nil {
		t.Error("there is one")
	}
	if list, _ := filepath.Glob(filepath.Join(filepath.Dir(h.file), booksFile+"*")); len(list) > 0 {
		t.Errorf("there is %v", list)
	}
}

// Records that wait are seen: in the status, as a warning after a minute, in the metrics.
func TestRecordsThatWaitAreSeen(t *testing.T) {
	address, _ := accountant(t, false)
	h := startHost(t, settingsOf{"radius.servers": servers(address)})
	h.radius.Account(session1)
	st := h.accounting()
	if st == nil || st.Waiting != 1 || !st.OnDisk {
		t.Fatalf("%+v", st)
	}
	for st.Oldest == nil { // it has come in, and is not in the book yet
		st = h.accounting()
	}
	if list := h.booksWarnings(time.Now()); len(list) != 0 {
		t.Errorf("%q at once", list)
	}
	if list := h.booksWarnings(time.Now().Add(2 * time.Minute)); len(list) != 1 || !strings.Contains(list[0], "accounting records wait for a RADIUS server since") ||
		!strings.Contains(list[0], ": 1, of which servers refuse 0; they are kept on disk") {
		t.Errorf("%q after two minutes", list)
	}
	problems, err := testutil.GatherAndLint(h.meter.registry(h.instance), "adit_accounting_waiting", "adit_accounting_oldest_seconds", "adit_accounting_lost_total", "adit_accounting_on_disk")
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	if n, err := testutil.GatherAndCount(h.meter.registry(h.instance), "adit_accounting_waiting"); err != nil || n != 2 {
		t.Error(n, err)
	}
}
