package sim

import (
	"crypto/sha256"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

var errRevoked = errors.New("the certificate is revoked")

// revoking is an office that has revoked some certificates.
type revoking struct {
	*office
	mu   sync.Mutex
	gone map[[32]byte]bool
}

func (r *revoking) Verify(now time.Time, certs [][]byte) (ike.PeerCert, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(certs) > 0 && r.gone[sha256.Sum256(certs[0])] {
		return ike.PeerCert{}, errRevoked
	}
	return r.office.Verify(now, certs)
}

// reload does what a reload does that revokes a certificate and changes nothing else.
func (w *World) reload(o *office, revoked *ike.Identity) {
	p := *w.Policy
	i := *p.IKE
	i.Authority = &revoking{office: o, gone: map[[32]byte]bool{sha256.Sum256(revoked.Chain[0]): true}}
	p.IKE = &i
	w.Server.SetPolicy(&p)
}

// A client whose certificate was revoked may have chosen any lifetime for its phase 1,
// and renews its ESP under it as long as it likes: a reload ends that. Nobody else
// notices.
func TestARevokedCertificateEndsWithTheReload(t *testing.T) {
	o := newOffice()
	in(t, func(t *testing.T) {
		w := New(t, Options{Policy: func(p *vpn.Policy) {
			p.IKE.Identity, p.IKE.Authority = o.identity("server", ecKey()), o
		}})
		lost, kept := o.identity("lost", ecKey()), o.identity("kept", ecKey())
		dial := func(from string, i *ike.Identity) (*Laptop, *client.Dialled) {
			l := w.Laptop(w.Net.Host(from), func(c *client.Config) {
				c.Lifetime = 365 * 24 * time.Hour
				if c.PSK = secret.String(PSK); i != nil {
					c.Change = func(p *vpn.Policy) { p.IKE.PSKs, p.IKE.Identity, p.IKE.Authority = nil, i, o }
				}
			})
			d, err := l.Connect(ServerAddr)
			if err != nil {
				t.Fatal(err)
			}
			return l, d
		}
		_, gone := dial("198.51.100.1", lost)
		l2, d2 := dial("198.51.100.2", kept)
		l3, d3 := dial("198.51.100.3", nil)

		w.reload(o, lost)
		w.Server.Recheck()
		time.Sleep(10 * time.Second)
		select {
		case <-gone.Done():
		default:
			t.Error("whose certificate is revoked is still connected")
		}
		down := All[vpn.ConnDown](w.Events)
		if len(down) != 1 || down[0].Why != vpn.EndCertificate {
			t.Errorf("connections ended: %+v", down)
		}
		if list := w.Server.List(); len(list) != 2 {
			t.Errorf("%d connections are left, want two", len(list))
		}
		for i, x := range []struct {
			l *Laptop
			d *client.Dialled
		}{{l2, d2}, {l3, d3}} {
			passes(t, w, x.l, x.d, uint32(10*i))
		}
	})
}

// A client whose handshake began before the reload may get in under the earlier policy. A
// new phase 1 always uses the new policy.
func TestARevokedCertificateRenewsNothing(t *testing.T) {
	o := newOffice()
	in(t, func(t *testing.T) {
		w := New(t, Options{Policy: with(o, "server", ecKey())})
		lost := o.identity("lost", ecKey())
		l := w.Laptop(w.Net.Host("198.51.100.1"), func(c *client.Config) {
			c.Change = func(p *vpn.Policy) { p.IKE.PSKs, p.IKE.Identity, p.IKE.Authority = nil, lost, o }
		})
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		w.reload(o, lost)
		d.Rephase()
		time.Sleep(30 * time.Second)
		if up := All[vpn.PhaseOneUp](w.Events); len(up) != 1 {
			t.Errorf("%d phases 1 came up, want the first alone", len(up))
		}
		refused := 0
		for _, e := range All[vpn.PacketRefused](w.Events) {
			if errors.Is(e.Why, errRevoked) {
				refused++
			}
		}
		if refused == 0 {
			t.Error("nobody said that it is revoked")
		}
	})
	in(t, func(t *testing.T) {
		slow, lost := &slowAuthority{office: o}, o.identity("lost", ecKey())
		w := New(t, Options{Policy: func(p *vpn.Policy) {
			with(o, "server", ecKey())(p)
			p.IKE.Authority = slow
		}})
		slow.then = func() { w.reload(o, lost) }
		l := w.Laptop(w.Net.Host("198.51.100.1"), func(c *client.Config) {
			c.Change = func(p *vpn.Policy) { p.IKE.PSKs, p.IKE.Identity, p.IKE.Authority = nil, lost, o }
		})
		if d, err := l.Connect(ServerAddr); err == nil {
			t.Errorf("it is connected: %v", d.Network)
		}
		time.Sleep(time.Minute)
		w.WantNothingLeft(t)
	})
}

// slowAuthority lets the policy be replaced while it verifies.
type slowAuthority struct {
	*office
	once sync.Once
	then func()
}

func (s *slowAuthority) Verify(now time.Time, certs [][]byte) (ike.PeerCert, error) {
	s.once.Do(s.then)
	return s.office.Verify(now, certs)
}
