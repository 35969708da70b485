package vpn

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/l2tp"
)

// shared is a connection at whose endpoint two peers have phases 1: a client, and
// somebody else who knows the pre-shared key.
type shared struct {
	*testing.T
	*Conn
	now    time.Time
	out    uint32
	client *phase1
	thief  *phase1
}

func newShared(t *testing.T) *shared {
	suites := ike.DefaultSuites()[:1]
	s := New(Config{Policy: &Policy{
		IKE: &ike.Policy{Suites: suites}, HalfOpen: 10, HalfOpenPerSource: 10, SetupTimeout: time.Minute, DrainTimeout: time.Second,
		L2TP: &l2tp.Config{HostName: "adit", Window: 4, Sessions: 1, SetupTimeout: time.Minute, CallTimeout: time.Minute},
	}, Observer: &refusals{}})
	n := udptest.New(1)
	n.SetPolicy(udptest.Policy{Drop: func(udptest.Datagram) bool { return true }}) // all are dropped
	local, remote := netip.MustParseAddrPort("192.0.2.1:4500"), netip.MustParseAddrPort("203.0.113.5:4500")
	plane, err := dataplane.New(dataplane.Config{
		Workers: [][]dataplane.Socket{{{Conn: n.Host("192.0.2.1").Listen(4500), Bound: local, Kind: dataplane.SocketNATT}}},
		Device:  netdevtest.New("adit0", 1400, 1), Control: s, Slots: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Bind(plane)
	c := s.newConn(time.Now(), ike.Path{Local: local, Remote: remote, Marker: true})
	c.peer.Encap = true
	if c.slot, err = plane.NewSlot(c); err != nil {
		t.Fatal(err)
	}
	return &shared{T: t, Conn: c, now: time.Unix(1e9, 0)}
}

// phase is a phase 1 that came up at the connection's endpoint.
func (s *shared) phase() *phase1 {
	p := s.addPhase1(ike.Cookies{}, func(e ike.Env) *ike.SA {
		e.Rand = rand.Reader
		return ike.Initiate(e, s.path, s.now)
	})
	p.half, p.joined = false, len(s.phases) > 1
	s.crowdPhases()
	return p
}

// pair is a pair agreed under a phase 1, including the last message.
func (s *shared) pair(under *phase1) *pair {
	key := func(n int) secret.Bytes {
		b := make([]byte, n)
		if _, err := rand.Read(b); err != nil {
			s.Fatal(err)
		}
		return secret.New(b)
	}
	keys := func() ike.ChildKeys { return ike.ChildKeys{Enc: key(16), Auth: key(20)} }
	s.out++
	s.addChild(s.now, under, ike.Child{
		InSPI: s.slot.NewSPI(), OutSPI: s.out, In: keys(), Out: keys(),
		Suite: ike.ESPSuite{Cipher: ike.ESPAESCBC, KeyBits: 128, Auth: ike.ESPAuthSHA1_96}, Lifetime: time.Hour,
	})
	p := s.kids.pairs[len(s.kids.pairs)-1]
	s.agreed(s.now, p.InSPI)
	s.publish()
	return p
}

func (s *shared) note(n dataplane.Note) {
	s.receive(s.now, n)
	s.publish()
}

func (s *shared) use(p *pair) { s.note(dataplane.Note{Kind: dataplane.NoteFirstUse, SPI: p.InSPI}) }

// begin makes a tunnel begin on a pair, as Android does.
func (s *shared) begin(p *pair) {
	msg, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "").Replace(`c802 0000 0000 0000 0000 0000
 8008 0000 0000 0001  8008 0000 0002 0100  800f 0000 0007 616e6f6e796d6f7573
 800a 0000 0003 00000003  8008 0000 0009 4d2b  8008 0000 000a 0001`))
	if err != nil {
		s.Fatal(err)
	}
	msg[3] = byte(len(msg))
	s.note(dataplane.Note{Kind: dataplane.NoteControl, SPI: p.InSPI, Data: msg})
	if s.tunnel == nil {
		s.Fatal("no tunnel began")
	}
}

// Somebody who has the key and waits at a client's address, before the client or its user
// comes, then has keys of the same connection. These give no access to the tunnel that
// the client begins, and neither do keys that are made later.
func TestWhoWasAtAClientsAddressFirstGetsNothingOfItsTunnel(t *testing.T) {
	for name, attack := range map[string]func(s *shared) (client *pair){
		"the thief was first": func(s *shared) *pair {
			s.thief = s.phase()
			s.use(s.pair(s.thief))
			s.client = s.phase()
			p := s.pair(s.client)
			s.begin(p)
			return p
		},
		"the thief has keys that nobody has used": func(s *shared) *pair {
			s.thief = s.phase()
			s.pair(s.thief)
			s.client = s.phase()
			p := s.pair(s.client)
			s.begin(p)
			return p
		},
		"the thief joined before the tunnel": func(s *shared) *pair {
			s.client = s.phase()
			p := s.pair(s.client)
			s.thief = s.phase()
			s.use(s.pair(s.thief))
			s.begin(p)
			return p
		},
		"the thief joined before the user": func(s *shared) *pair {
			s.client = s.phase()
			p := s.pair(s.client)
			s.begin(p)
			s.thief = s.phase()
			s.use(s.pair(s.thief)) // this note was already on its way
			return p
		},
		"the thief's first packet overtakes": func(s *shared) *pair {
			s.client = s.phase()
			p := s.pair(s.client)
			s.thief = s.phase()
			q := s.pair(s.thief)
			s.begin(p)
			s.use(q)
			return p
		},
		"the thief shows a session that is over": func(s *shared) *pair {
			s.client = s.phase()
			p := s.pair(s.client)
			s.thief = s.phase()
			q := s.pair(s.thief)
			s.begin(p)
			s.note(dataplane.Note{Kind: dataplane.NoteShown, SPI: q.InSPI, Session: 77})
			return p
		},
		"the thief had a tunnel": func(s *shared) *pair {
			s.thief = s.phase()
			s.begin(s.pair(s.thief))
			s.client = s.phase()
			p := s.pair(s.client)
			s.begin(p)
			return p
		},
		"the thief's phase 1 has ended": func(s *shared) *pair {
			s.thief = s.phase()
			s.use(s.pair(s.thief))
			s.client = s.phase()
			s.thief.dead = true
			s.dropDeadPhases()
			p := s.pair(s.client)
			s.begin(p)
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShared(t)
			own := attack(s)
			s.use(own)
			later := s.pair(s.thief)
			s.use(later)
			s.user = "alice"
			s.changed = true
			s.publish()
			v := s.view()
			for _, p := range s.kids.pairs {
				if doubted := slices.Contains(v.Doubted, p.InSPI); doubted != (p.phase == s.thief) {
					t.Errorf("pair %d: doubted %v", p.OutSPI, doubted)
				}
			}
			if s.kids.sending != own || v.Muted {
				t.Errorf("pair %d sends, muted %v; want %d, the client's", s.kids.sending.OutSPI, v.Muted, own.OutSPI)
			}
		})
	}
}

// However many phases 1 and pairs somebody else has at a client's address, everything of
// the client's stays, including what it has only just agreed on.
func TestWhatMayBeAnothersPushesOutNothingOfTheClients(t *testing.T) {
	s := newShared(t)
	s.client = s.phase()
	p := s.pair(s.client)
	s.begin(p)
	s.use(p)
	s.user = "alice"
	renewed := s.pair(s.client)
	renewed.confirmed = false // message 3 is still on its way
	for range 3 * maxPairs {
		s.pair(s.phase())
	}
	if !slices.Contains(s.phases, s.client) || s.newest() != s.client || len(s.phases) != maxPhases {
		t.Errorf("of %d phases 1 the client's is at %d, and the newest at %d", len(s.phases), slices.Index(s.phases, s.client), slices.Index(s.phases, s.newest()))
	}
	if !slices.Contains(s.kids.pairs, p) || !slices.Contains(s.kids.pairs, renewed) || len(s.kids.pairs) != maxPairs {
		t.Errorf("%d pairs are left, of the client's the old one at %d and the new one at %d", len(s.kids.pairs), slices.Index(s.kids.pairs, p), slices.Index(s.kids.pairs, renewed))
	}
}

// Messages of a phase 1 that may be another peer's do not count as the client's.
func TestWhatMayBeAnothersSpeaksNotForTheClient(t *testing.T) {
	s := newShared(t)
	s.client = s.phase()
	p := s.pair(s.client)
	s.begin(p)
	s.use(p)
	s.user = "alice"
	s.thief = s.phase()
	away := s.path
	away.Remote = netip.MustParseAddrPort("198.51.100.66:4500")
	s.onIKE(s.now, s.thief, ike.Fresh{Path: away})
	if s.path.Remote == away.Remote {
		t.Error("its message from elsewhere moved the client there")
	}
	s.asked = s.now
	s.onIKE(s.now, s.thief, ike.Alive{})
	if s.asked.IsZero() {
		t.Error("it answered for the client")
	}
	s.onIKE(s.now, s.thief, ike.Closed{Why: ike.ReasonDead})
	if !s.drain.IsZero() {
		t.Error("its silence ended the client's connection")
	}
	was := s.peer
	s.own(time.Now(), s.thief, ike.Peer{})
	if s.peer.Encap != was.Encap {
		t.Error("what it negotiated counts for the client")
	}
	s.onIKE(s.now, s.client, ike.Fresh{Path: away})
	if s.path.Remote != away.Remote {
		t.Error("the client's own message moved nothing: the test proves nothing")
	}
}
