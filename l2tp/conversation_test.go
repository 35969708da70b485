package l2tp

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

func TestLACAndLNSConnect(t *testing.T) {
	lac := testConfig()
	lac.Vendor, lac.HostName, lac.Sequencing = "adit", "client", true
	w := newWire(t, lac, testConfig())
	local, err := w.ends[0].Call(w.Now, Call{Serial: 7, TxSpeed: 10_000_000, CallingNumber: "123", CalledNumber: "456"})
	if err != nil {
		t.Fatal(err)
	}
	if !w.run(time.Second, w.sessionsUp) {
		t.Fatalf("no session within a second:\n%s", w.describe())
	}
	up, _ := machinetest.Find[TunnelUp](w.events[1])
	if up.Peer.HostName != "client" || up.Peer.Vendor != "adit" || up.Peer.Tunnel != w.ends[0].ID() || up.Peer.Window != 4 {
		t.Errorf("the LNS learnt %+v", up.Peer)
	}
	at, _ := machinetest.Find[SessionUp](w.events[0])
	got, _ := machinetest.Find[SessionUp](w.events[1])
	want := Session{
		Local: at.Session.Remote, Remote: local, Serial: 7, TxSpeed: 10_000_000,
		Sequencing: true, CallingNumber: "123", CalledNumber: "456",
	}
	if at.Session.Local != local || got.Session != want {
		t.Errorf("session at the LNS %+v, want %+v", got.Session, want)
	}
	if n := len(w.sent[0]) + len(w.sent[1]); n > 9 {
		t.Errorf("%d messages for one session", n)
	}
}

func TestLACAndLNSConnectOverABadLine(t *testing.T) {
	for seed := range byte(40) {
		lac, lns := withSecret(testConfig(), "shared"), withSecret(testConfig(), "shared")
		for _, c := range []*Config{lac, lns} {
			c.SetupTimeout, c.CallTimeout = 0, 0
		}
		w := newWire(t, lac, lns)
		w.Rand = rand.New(machinetest.Rand(seed))
		w.Loss, w.Dup, w.Jitter = 0.2, 0.2, 2*time.Second
		if _, err := w.ends[0].Call(w.Now, Call{}); err != nil {
			t.Fatal(err)
		}
		if !w.run(5*time.Minute, w.sessionsUp) {
			t.Fatalf("seed %d: no session:\n%s", seed, w.describe())
		}
		w.ends[int(seed)%2].Close(w.Now, Result{Code: StopShutdown})
		if !w.run(5*time.Minute, w.closed) {
			t.Fatalf("seed %d: not closed:\n%s", seed, w.describe())
		}
		for i, events := range w.events {
			if n := machinetest.Count[TunnelDown](events); n != 1 {
				t.Errorf("seed %d: end %d said TunnelDown %d times", seed, i, n)
			}
			if n := machinetest.Count[SessionUp](events); n != 1 {
				t.Errorf("seed %d: end %d said SessionUp %d times", seed, i, n)
			}
			if n := machinetest.Count[SessionDown](events); n != 1 {
				t.Errorf("seed %d: end %d said SessionDown %d times", seed, i, n)
			}
			if _, last := events[len(events)-1].(Closed); !last {
				t.Errorf("seed %d: end %d: Closed is not the last event", seed, i)
			}
		}
	}
}

func TestTunnelAuthentication(t *testing.T) {
	tests := []struct {
		name, lac, lns string
		up             bool
	}{
		{"same secret", "one", "one", true},
		{"other secret", "one", "two", false},
		{"only the LNS has one", "", "one", false},
		{"only the LAC has one", "one", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWire(t, withSecret(testConfig(), tt.lac), withSecret(testConfig(), tt.lns))
			if _, err := w.ends[0].Call(w.Now, Call{}); err != nil {
				t.Fatal(err)
			}
			up := w.run(2*time.Second, w.sessionsUp)
			if up != tt.up {
				t.Fatalf("session up: %v:\n%s", up, w.describe())
			}
			if up {
				return
			}
			codes := map[ResultCode]bool{}
			for _, events := range w.events {
				d, ok := machinetest.Find[TunnelDown](events)
				if !ok {
					t.Error("one end did not say TunnelDown")
				}
				codes[d.Result.Code] = true
			}
			if len(codes) != 1 || !codes[StopNotAuthorized] {
				t.Errorf("results %v, want %d at both", codes, StopNotAuthorized)
			}
			if machinetest.Count[CallFailed](w.events[0]) != 1 {
				t.Error("the call was not said to have failed")
			}
		})
	}
}

func TestHangupEndsOneSession(t *testing.T) {
	for side := range 2 {
		w := newWire(t, testConfig(), testConfig())
		first, err := w.ends[0].Call(w.Now, Call{})
		if err != nil {
			t.Fatal(err)
		}
		if !w.run(time.Second, w.sessionsUp) {
			t.Fatal("no session")
		}
		local := first
		if side == 1 {
			local = w.ends[1].s.sessions[0].Local
		}
		why := Result{Code: CallAdmin, Message: "bye"}
		w.ends[side].Hangup(w.Now, local, why)
		w.ends[side].Hangup(w.Now, local, why) // it may have ended in the meantime
		w.run(time.Second, func() bool { return false })
		for i, events := range w.events {
			d, ok := machinetest.Find[SessionDown](events)
			if !ok || d.Result != why || d.Remote != (i != side) {
				t.Errorf("side %d hung up: end %d heard %+v, %v", side, i, d, ok)
			}
			if !w.ends[i].Established() {
				t.Errorf("end %d lost its tunnel", i)
			}
		}
		if _, err := w.ends[0].Call(w.Now, Call{}); err != nil {
			t.Errorf("no second call: %v", err)
		}
		if !w.run(time.Second, func() bool { return machinetest.Count[SessionUp](w.events[1]) == 2 }) {
			t.Error("no second session")
		}
	}
}

func TestASecondSessionIsRefusedWhenOneIsTheLimit(t *testing.T) {
	lac := testConfig()
	lac.Sessions = 3
	w := newWire(t, lac, testConfig())
	for range 2 {
		if _, err := w.ends[0].Call(w.Now, Call{}); err != nil {
			t.Fatal(err)
		}
	}
	w.run(5*time.Second, func() bool { return false })
	f, _ := machinetest.Find[CallFailed](w.events[0])
	if f.Result.Code != CallNoResources || f.Result.Error != ErrorResources || !f.Remote {
		t.Errorf("the second call ended with %+v", f)
	}
	if len(w.ends[1].s.sessions) != 1 || machinetest.Count[SessionUp](w.events[1]) != 1 {
		t.Errorf("the LNS has %d sessions", len(w.ends[1].s.sessions))
	}
}

func TestADeadPeerIsNoticedByHello(t *testing.T) {
	w := newWire(t, testConfig(), testConfig())
	w.run(time.Second, func() bool { return w.ends[0].Established() && w.ends[1].Established() })
	w.run(3*time.Minute, func() bool { return false })
	if !w.ends[0].Established() || !w.ends[1].Established() {
		t.Fatal("an idle tunnel went down")
	}
	w.Loss = 1
	w.run(3*time.Minute, func() bool { return false })
	for i := range w.ends {
		if d, ok := machinetest.Find[TunnelDown](w.events[i]); !ok || d.Remote || d.Result.Message != "peer does not answer" {
			t.Errorf("end %d: %+v, %v", i, d, ok)
		}
	}
}

func TestAProbeIsAHelloAtOnce(t *testing.T) {
	w := newWire(t, testConfig(), testConfig())
	w.ends[1].Probe(w.Now) // there is no tunnel yet, so this does nothing
	w.run(time.Second, func() bool { return w.ends[0].Established() && w.ends[1].Established() })
	w.run(2*time.Second, func() bool { return false })
	before, answers := len(w.sent[1]), len(w.sent[0])
	w.ends[1].Probe(w.Now)
	w.ends[1].Probe(w.Now) // the first one is still outstanding
	w.run(time.Second, func() bool { return false })
	if n := len(w.sent[1]) - before; n != 1 {
		t.Errorf("%d messages left, want one HELLO", n)
	}
	if n := len(w.sent[0]) - answers; n != 1 {
		t.Errorf("the peer answered %d times, want once", n)
	}
}

func TestDataIsLiveness(t *testing.T) {
	t.Run("no HELLO while data flows", func(t *testing.T) {
		w := newWire(t, testConfig(), testConfig())
		w.run(time.Second, func() bool { return w.ends[0].Established() && w.ends[1].Established() })
		before := len(w.sent[1])
		for range 20 {
			w.run(30*time.Second, func() bool { return false })
			w.ends[0].HandleData(w.Now)
			w.ends[1].HandleData(w.Now)
		}
		if n := len(w.sent[1]) - before; n != 0 {
			t.Errorf("the LNS sent %d control messages", n)
		}
	})
	t.Run("a peer that acknowledges no HELLO but sends data lives", func(t *testing.T) {
		w := newWire(t, testConfig(), testConfig())
		w.run(time.Second, func() bool { return w.ends[0].Established() && w.ends[1].Established() })
		w.Loss = 1
		w.run(61*time.Second, func() bool { return false }) // a HELLO is outstanding
		for range 10 {
			w.run(30*time.Second, func() bool { return false })
			w.ends[1].HandleData(w.Now)
		}
		if !w.ends[1].Established() {
			t.Error("the tunnel went down")
		}
		w.run(3*time.Minute, func() bool { return false })
		if w.ends[1].Established() {
			t.Error("the tunnel outlives its data")
		}
	})
}

func TestSetupTimeouts(t *testing.T) {
	t.Run("tunnel", func(t *testing.T) {
		w := newWire(t, testConfig(), testConfig())
		w.run(5*time.Millisecond, func() bool { return false })
		lns := w.ends[1]
		if err := lns.HandlePacket(w.Now, w.sent[0][0]); err != nil {
			t.Fatal(err)
		}
		for now := lns.Deadline(); !now.IsZero(); now = lns.Deadline() {
			lns.HandleTimer(now)
		}
		d, ok := machinetest.Find[TunnelDown](drain(lns))
		if !ok || d.Result.Message != "not established in time" {
			t.Errorf("TunnelDown = %+v, %v", d, ok)
		}
	})
	t.Run("call", func(t *testing.T) {
		w := newWire(t, testConfig(), testConfig())
		w.run(time.Second, func() bool { return w.ends[1].Established() })
		lns := w.ends[1]
		icrqMessage := compose(icrq).uint16(avpAssignedSession, 9).uint32(avpCallSerial, 1)
		putHeader(icrqMessage.b, header{tunnel: lns.ID(), ns: lns.s.channel.nr, nr: lns.s.channel.ns})
		if err := lns.HandlePacket(w.Now, icrqMessage.b); err != nil {
			t.Fatal(err)
		}
		ack := make([]byte, controlHeaderLen)
		putHeader(ack, header{tunnel: lns.ID(), ns: lns.s.channel.nr, nr: lns.s.channel.ns})
		if err := lns.HandlePacket(w.Now, ack); err != nil {
			t.Fatal(err)
		}
		lns.HandleTimer(w.Now.Add(30 * time.Second))
		f, ok := machinetest.Find[CallFailed](drain(lns))
		if !ok || f.Result.Code != CallTimeout {
			t.Errorf("CallFailed = %+v, %v", f, ok)
		}
	})
}

// An end that has the secret answers a Challenge, and sends one only if it is
// configured to.
func TestTheSecretIsAskedForWhereItHasToBe(t *testing.T) {
	for _, tt := range []struct {
		name                       string
		lac, lns                   string
		lacAsks, lnsAsks, connects bool
	}{
		{"nobody asks, one has none", "", "one", false, false, true},
		{"nobody asks, they differ", "two", "one", false, false, true},
		{"the LAC asks", "one", "one", true, false, true},
		{"the LAC asks, they differ", "two", "one", true, false, false},
		{"the LNS asks", "one", "one", false, true, true},
		{"the LNS asks, the LAC has none", "", "one", false, true, false},
		{"the LNS asks, they differ", "two", "one", false, true, false},
	} {
		lac, lns := withSecret(testConfig(), tt.lac), withSecret(testConfig(), tt.lns)
		lac.Challenge, lns.Challenge = tt.lacAsks, tt.lnsAsks
		w := newWire(t, lac, lns)
		if _, err := w.ends[0].Call(w.Now, Call{}); err != nil {
			t.Fatal(err)
		}
		if up := w.run(2*time.Second, w.sessionsUp); up != tt.connects {
			t.Errorf("%s: connected: %v:\n%s", tt.name, up, w.describe())
		}
	}
}
