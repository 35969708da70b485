package ike

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/secret"
)

// children completes the exchanges in progress and reports whether both ends have
// the child of one Quick Mode.
func (p *pair) children(d time.Duration) bool {
	p.wait(d)
	return len(take[ChildSending](p.client)) > 0 && len(take[ChildSending](p.server)) > 0
}

func TestEachMessageLostOnce(t *testing.T) {
	// Main Mode has six messages, Quick Mode three.
	for lost := range 9 {
		t.Run(fmt.Sprint(lost+1), func(t *testing.T) {
			p, n := newPair(t), 0
			p.tamper = func(d datagram) []datagram {
				n++
				if n == lost+1 {
					return nil
				}
				return []datagram{d}
			}
			p.initiate()
			p.wait(10 * time.Second)
			one[Authenticated](t, p.client)
			one[Authenticated](t, p.server)
			if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
				t.Fatal(err)
			}
			if !p.children(10 * time.Second) {
				t.Errorf("no child; dropped: %v", p.dropped)
			}
			if n <= 9 {
				t.Errorf("%d messages: none was sent again", n)
			}
		})
	}
}

func TestLossDuplicationAndReordering(t *testing.T) {
	done := 0
	for seed := range uint64(60) {
		p := newPair(t)
		p.client.env.Policy.Suites = []Suite{{CipherAES, 128, HashSHA1, GroupECP256}}
		dice := rand.New(rand.NewPCG(seed, 1))
		var late []datagram
		p.tamper = func(d datagram) []datagram {
			out := late
			late = nil
			switch dice.IntN(6) {
			case 0: // lost
			case 1: // twice
				out = append(out, d, d)
			case 2: // arrives after the message that follows it
				late = append(late, d)
			default:
				out = append(out, d)
			}
			return out
		}
		p.initiate()
		p.wait(60 * time.Second)
		if !p.client.sa.Established() {
			continue // lost too often: the initiator has given up after 31 seconds
		}
		if len(take[Authenticated](p.server)) != 1 {
			t.Fatalf("seed %d: the client is established and the server is not", seed)
		}
		if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
			t.Fatal(err)
		}
		p.wait(60 * time.Second)
		if len(take[ChildFailed](p.client)) > 0 {
			continue
		}
		c := one[ChildReceiving](t, p.client).Child
		sameChild(t, c, one[ChildReceiving](t, p.server).Child)
		one[ChildSending](t, p.client)
		if n := len(take[ChildSending](p.server)) + len(take[ChildFailed](p.server)); n != 1 {
			t.Errorf("seed %d: the server says %d times how it ended", seed, n)
		}
		done++
	}
	if done < 50 {
		t.Errorf("only %d of 60 handshakes completed", done)
	}
}

// Three copies of every datagram change nothing: no second child, no second phase
// 1.
func TestStorms(t *testing.T) {
	p := newPair(t)
	p.tamper = func(d datagram) []datagram {
		return []datagram{d, d, d}
	}
	// The server answers duplicates, and each answer is tripled again: without a
	// bound this never ends.
	p.initiate()
	one[Authenticated](t, p.client)
	if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
		t.Fatal(err)
	}
	p.run()
	one[ChildReceiving](t, p.client)
	one[ChildReceiving](t, p.server)
	one[ChildSending](t, p.client)
	one[ChildSending](t, p.server)
}

// A flipped bit must be noticed wherever a hash covers it. It must never end an
// SA, nor keep the genuine message out. The first four messages of Main Mode have
// no hash of their own: message 5 reveals the change.
func TestFlippedBits(t *testing.T) {
	messages := record(t)
	for n, m := range messages {
		bits := 8 * len(m.data)
		for bit := 0; bit < bits; bit += 1 + bits/160 {
			if !flip(t, n, bit) {
				return
			}
		}
	}
}

// record returns the messages of a handshake.
func record(t *testing.T) (list []datagram) {
	p := flipPair(t)
	p.tamper = func(d datagram) []datagram {
		list = append(list, d)
		return []datagram{d}
	}
	p.establish().works()
	if len(list) != 9 {
		t.Fatalf("%d messages", len(list))
	}
	return list
}

func flipPair(t *testing.T) *pair {
	p := newPair(t)
	p.client.env.Policy.Suites = []Suite{{CipherAES, 128, HashSHA1, GroupECP256}}
	return p
}

// flip runs a handshake in which the nth message first comes with one bit flipped,
// and then unchanged.
func flip(t *testing.T, n, bit int) bool {
	t.Helper()
	p, count := flipPair(t), 0
	p.tamper = func(d datagram) []datagram {
		if count++; count != n+1 {
			return []datagram{d}
		}
		bad := d
		bad.data, bad.forged = bytes.Clone(d.data), true
		bad.data[bit/8] ^= 1 << (bit % 8)
		return []datagram{bad, d}
	}
	p.initiate()
	for _, e := range []*end{p.client, p.server} {
		if e.sa != nil && len(take[Closed](e)) > 0 {
			t.Errorf("bit %d of message %d closes the %s", bit, n+1, e.name)
			return false
		}
	}
	if n >= 4 && !p.client.sa.Established() {
		t.Errorf("bit %d of message %d ends Main Mode: %v", bit, n+1, p.dropped)
		return false
	}
	if !p.client.sa.Established() {
		// Only a bit that is not protected at all may have this effect, and then
		// neither end is authenticated.
		if p.server.sa != nil && p.server.sa.Established() {
			t.Errorf("bit %d of message %d: the server alone is established", bit, n+1)
		}
		return true
	}
	if n > 5 {
		if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
			t.Fatal(err)
		}
		p.run()
		c, s := take[ChildReceiving](p.client), take[ChildReceiving](p.server)
		if len(c) != 1 || len(s) != 1 || len(take[ChildSending](p.client)) != 1 || len(take[ChildSending](p.server)) != 1 {
			t.Errorf("bit %d of message %d: no child or two; dropped: %v", bit, n+1, p.dropped)
			return false
		}
		sameChild(t, c[0].Child, s[0].Child)
	}
	if n >= 4 && bit >= 8*isakmp.HeaderLen && p.fooled > 0 {
		t.Errorf("bit %d of message %d: nobody noticed", bit, n+1)
		return false
	}
	return true
}

func TestHalfOpenTimesOut(t *testing.T) {
	p := newPair(t)
	n := 0
	p.tamper = func(d datagram) []datagram {
		n++
		if !d.fromClient && n > 3 {
			return nil // message 4 never arrives
		}
		return []datagram{d}
	}
	p.initiate()
	p.wait(halfOpenTime - time.Second)
	if len(take[Closed](p.server)) != 0 {
		t.Error("the server gave up early")
	}
	p.wait(2 * halfOpenTime)
	if why := one[Closed](t, p.server).Why; why != ReasonTimeout {
		t.Errorf("the server closed because of %v", why)
	}
	if why := one[Closed](t, p.client).Why; why != ReasonTimeout {
		t.Errorf("the client closed because of %v", why)
	}
	if !p.client.sa.Deadline().IsZero() || !p.server.sa.Deadline().IsZero() {
		t.Error("a closed SA has a deadline")
	}
	if err := p.server.sa.HandlePacket(p.now, Path{}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed SA says %v", err)
	}
}

func TestRefusalInClearOnlyNamesTheReason(t *testing.T) {
	p := newPair(t)
	p.client.env.Policy.Suites = []Suite{{CipherAES, 256, HashMD5, GroupMODP2048}}
	p.initiate()
	if n := one[Note](t, p.client); n.Kind != NoteUnverified || n.Type != uint16(isakmp.NotifyNoProposalChosen) {
		t.Errorf("note %+v", n)
	}
	if len(take[Closed](p.client)) != 0 {
		t.Fatal("a notify that anybody can send closed the SA")
	}
	p.wait(2 * time.Minute)
	if why := one[Closed](t, p.client).Why; why != ReasonRefused {
		t.Errorf("closed because of %v", why)
	}
}

func TestWrongPreSharedKey(t *testing.T) {
	p := newPair(t)
	p.client.env.Policy.PSKs[0].Key = secret.String("a wrong key")
	p.initiate()
	if len(p.dropped) != 1 || !errors.Is(p.dropped[0], ErrUndecryptable) {
		t.Errorf("dropped: %v", p.dropped)
	}
	p.wait(20 * time.Second)
	// Message 5 is sent again after 1, 3, 7 and 15 seconds; four of them are
	// tried, the rest are not.
	for i, err := range p.dropped {
		if want := ErrUndecryptable; i < maxTrials && !errors.Is(err, want) {
			t.Errorf("message 5, time %d: %v", i+1, err)
		} else if i >= maxTrials && !errors.Is(err, ErrTrials) {
			t.Errorf("message 5, time %d: %v; want no more trials", i+1, err)
		}
	}
	if len(p.dropped) != 5 || len(take[Closed](p.server)) != 0 {
		t.Errorf("%d messages dropped, or the SA was killed", len(p.dropped))
	}
}

// Garbage from somebody else before the genuine message 5 must not keep it out.
func TestGarbageBeforeMessage5(t *testing.T) {
	p := newPair(t)
	p.tamper = func(d datagram) []datagram {
		if d.fromClient && d.data[19]&1 != 0 && Exchange(d.data[18]) == ExchangeMain {
			var list []datagram
			for i := range maxTrials - 1 {
				bad := d
				bad.data = bytes.Clone(d.data)
				bad.data[30+i] ^= 0xff
				list = append(list, bad)
			}
			return append(list, d)
		}
		return []datagram{d}
	}
	p.establish().works()
	if len(p.dropped) != maxTrials-1 {
		t.Errorf("dropped: %v", p.dropped)
	}
}
