package ppp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

var (
	allMethods    = []Method{MethodMSCHAPv2, MethodCHAP, MethodPAP} // by which either end authenticates itself
	clientMethods = append(allMethods, MethodEAP)
)

func TestBothRolesConnectByEachMethod(t *testing.T) {
	for _, m := range clientMethods {
		t.Run(m.String(), func(t *testing.T) {
			w := newWire(t, serverConfig(m), clientConfig(`CORP\User`, "clientPass"))
			w.start()
			if !w.run(5*time.Second, w.up) {
				t.Fatalf("no network within 5 s:\n%s", w.describe())
			}
			if took := w.Now.Sub(machinetest.Epoch); took >= restartPeriod {
				t.Errorf("it took %v: something was sent twice", took)
			}
			checkConversation(t, w, m)
		})
	}
}

func checkConversation(t *testing.T, w *wire, m Method) {
	t.Helper()
	for i, events := range w.events {
		auth, ok := machinetest.Find[Authenticated](events)
		if !ok || auth.Method != m || auth.User != `CORP\User` {
			t.Errorf("end %d: Authenticated = %+v, %v", i, auth, ok)
		}
		up, ok := machinetest.Find[NetworkUp](events)
		if !ok || up.Network.Local != testNetwork.Local || up.Network.Peer != testNetwork.Peer {
			t.Errorf("end %d: NetworkUp = %+v, %v; want %v", i, up, ok, testNetwork)
		}
		if up.MTU != 1400 {
			t.Errorf("end %d: MTU = %d, want 1400", i, up.MTU)
		}
		if len(up.Network.DNS) != 2 || up.Network.DNS[0] != testNetwork.DNS[0] || up.Network.DNS[1] != testNetwork.DNS[1] {
			t.Errorf("end %d: DNS = %v, want %v", i, up.Network.DNS, testNetwork.DNS)
		}
	}
}

func TestBothRolesConnectOverABadLine(t *testing.T) {
	for _, m := range clientMethods {
		for seed := range byte(12) {
			server, client := serverConfig(m), clientConfig("User", "clientPass")
			server.SetupTimeout, client.SetupTimeout = 0, 0
			w := newWire(t, server, client)
			if w.Rand = rand.New(machinetest.Rand(seed)); seed%2 == 0 {
				w.measured()
			}
			w.Loss, w.Dup, w.Jitter = 0.15, 0.15, 400*time.Millisecond
			w.start()
			if !w.run(10*time.Minute, w.up) {
				t.Fatalf("%v, seed %d: no network:\n%s", m, seed, w.describe())
			}
		}
	}
}

func TestWrongPasswordIsRefusedByEachMethod(t *testing.T) {
	for _, m := range clientMethods {
		t.Run(m.String(), func(t *testing.T) {
			w := newWire(t, serverConfig(m), clientConfig("User", "wrong"))
			w.start()
			if !w.run(time.Minute, w.down) {
				t.Fatalf("the link did not end:\n%s", w.describe())
			}
			for i, events := range w.events {
				if _, ok := machinetest.Find[AuthFailed](events); !ok {
					t.Errorf("end %d did not say AuthFailed", i)
				}
				if d, _ := machinetest.Find[Down](events); d.Why != ReasonAuthFailed {
					t.Errorf("end %d went down because of %v", i, d.Why)
				}
				if _, ok := machinetest.Find[NetworkUp](events); ok {
					t.Errorf("end %d had a network", i)
				}
			}
		})
	}
}

func TestServerFollowsTheClientsWishOfMethod(t *testing.T) {
	tests := []struct {
		name           string
		server, client []Method
		want           Method // 0: none
	}{
		{"first choice", []Method{MethodMSCHAPv2, MethodPAP}, allMethods, MethodMSCHAPv2},
		{"asked for", []Method{MethodMSCHAPv2, MethodCHAP, MethodPAP}, []Method{MethodPAP}, MethodPAP},
		{"second wish", []Method{MethodMSCHAPv2, MethodCHAP}, []Method{MethodPAP, MethodCHAP}, MethodCHAP},
		{"not allowed", []Method{MethodMSCHAPv2}, []Method{MethodPAP}, 0},
		{"nothing in common", []Method{MethodMSCHAPv2, MethodCHAP}, []Method{MethodPAP}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWire(t, serverConfig(tt.server...), clientConfig("User", "clientPass", tt.client...))
			w.start()
			if tt.want == 0 {
				if !w.run(time.Minute, w.down) {
					t.Fatalf("the link did not end:\n%s", w.describe())
				}
				if d, _ := machinetest.Find[Down](w.events[0]); d.Why != ReasonAuthRefused {
					t.Errorf("server went down because of %v, want %v", d.Why, ReasonAuthRefused)
				}
				return
			}
			if !w.run(10*time.Second, w.up) {
				t.Fatalf("no network:\n%s", w.describe())
			}
			if a, _ := machinetest.Find[Authenticated](w.events[0]); a.Method != tt.want {
				t.Errorf("authenticated by %v, want %v", a.Method, tt.want)
			}
		})
	}
}

func TestASlowBackendIsWaitedFor(t *testing.T) {
	w := newWire(t, serverConfig(MethodPAP), clientConfig("User", "clientPass"))
	w.slow = 20 * time.Second // the verdict needs a confirmation on somebody's phone
	w.start()
	if !w.run(40*time.Second, w.up) {
		t.Fatalf("no network:\n%s", w.describe())
	}
	if n := machinetest.Count[AuthRequest](w.events[0]); n != 1 {
		t.Errorf("the backend was asked %d times, want once", n)
	}
}

func TestABackendThatNeverAnswersEndsTheLink(t *testing.T) {
	for _, m := range allMethods {
		client := clientConfig("User", "clientPass")
		client.SetupTimeout = 0
		w := newWire(t, serverConfig(m), client)
		w.slow = time.Hour
		w.start()
		if !w.run(50*time.Second, w.down) {
			t.Fatalf("%v: the link did not end:\n%s", m, w.describe())
		}
		if d, _ := machinetest.Find[Down](w.events[0]); d.Why != ReasonAuthTimeout {
			t.Errorf("%v: server went down because of %v, want %v", m, d.Why, ReasonAuthTimeout)
		}
	}
}

func TestTheMTUIsTheSmallerMRU(t *testing.T) {
	server, client := serverConfig(MethodPAP), clientConfig("User", "clientPass")
	client.MRU = 1270
	w := newWire(t, server, client)
	w.start()
	if !w.run(5*time.Second, w.up) {
		t.Fatal("no network")
	}
	for i, events := range w.events {
		if up, _ := machinetest.Find[NetworkUp](events); up.MTU != 1270 {
			t.Errorf("end %d: MTU = %d, want 1270", i, up.MTU)
		}
	}
}

func TestCloseEndsBothSidesInOrder(t *testing.T) {
	w := newWire(t, serverConfig(MethodMSCHAPv2), clientConfig("User", "clientPass"))
	w.start()
	if !w.run(5*time.Second, w.up) {
		t.Fatal("no network")
	}
	w.ends[0].Close(w.Now, ReasonSessionTimeout)
	w.collect(0)
	if !w.run(20*time.Second, w.down) {
		t.Fatalf("the link did not end:\n%s", w.describe())
	}
	if d, _ := machinetest.Find[Down](w.events[0]); d.Why != ReasonSessionTimeout {
		t.Errorf("server's reason = %v", d.Why)
	}
	d, _ := machinetest.Find[Down](w.events[1])
	if d.Why != ReasonPeerTerminated || d.PeerText != "session timeout" {
		t.Errorf("client's Down = %+v", d)
	}
	for i, events := range w.events {
		if n := machinetest.Count[NetworkDown](events); n != 1 {
			t.Errorf("end %d said NetworkDown %d times", i, n)
		}
		if _, last := events[len(events)-1].(Down); !last {
			t.Errorf("end %d: Down is not the last event", i)
		}
		if err := w.ends[i].HandlePacket(w.Now, []byte{0xc0, 0x21, 9, 1, 0, 8, 0, 0, 0, 0}); err == nil {
			t.Errorf("end %d: a closed link took a packet", i)
		}
		if !w.ends[i].Deadline().IsZero() {
			t.Errorf("end %d: a closed link has a deadline", i)
		}
	}
}

func TestNoAddressMeansNoNetwork(t *testing.T) {
	w := newWire(t, serverConfig(MethodPAP), clientConfig("User", "clientPass"))
	w.start()
	saved := testNetwork
	defer func() { testNetwork = saved }()
	testNetwork = Network{Local: netip.MustParseAddr("10.83.0.1")}
	if !w.run(2*time.Minute, w.down) {
		t.Fatalf("the link did not end:\n%s", w.describe())
	}
	if d, _ := machinetest.Find[Down](w.events[1]); d.Why != ReasonNoNetwork {
		t.Errorf("client's reason = %v, want %v", d.Why, ReasonNoNetwork)
	}
}
