package ike

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// A refused certificate yields an error with a reason on our side, and a notify
// under the new keys for the peer. No SA is closed by it.
func TestRefusedCertificates(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(p *pair)
		want   error
		notify isakmp.NotifyType
	}{
		{"the authority says no", func(p *pair) {
			p.server.env.Policy.Authority.(*testCA).err = errors.New("it is revoked")
		}, ErrCertificate, isakmp.NotifyInvalidCertificate},
		{"another CA", func(p *pair) {
			p.client.env.Policy.Identity = newCA().identity("client", newKey(AuthECDSA256))
		}, ErrCertificate, isakmp.NotifyInvalidCertificate},
		{"no certificate", func(p *pair) { p.client.env.Policy.Identity.Chain = nil }, ErrCertificate, isakmp.NotifyInvalidCertificate},
		{"no intermediate", func(p *pair) {
			p.client.env.Policy.Identity.Chain = p.client.env.Policy.Identity.Chain[:1]
		}, ErrCertificate, isakmp.NotifyInvalidCertificate},
		{"expired", func(p *pair) { p.now = p.now.Add(48 * time.Hour) }, ErrCertificate, isakmp.NotifyInvalidCertificate},
		{"somebody else's name", func(p *pair) {
			p.client.env.Policy.Identity.Subject = p.server.env.Policy.Identity.Subject
		}, ErrIdentity, isakmp.NotifyInvalidIDInformation},
		{"somebody else's key", func(p *pair) { p.client.env.Policy.Identity.Key = newKey(AuthECDSA256) }, ErrSignature, isakmp.NotifyInvalidSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := signedPair(t, AuthECDSA256)
			tt.change(p)
			p.initiate()
			if len(p.dropped) == 0 || !errors.Is(p.dropped[0], tt.want) {
				t.Fatalf("dropped: %v, want %v", p.dropped, tt.want)
			}
			if notes := take[Note](p.client); len(notes) == 0 || notes[0].Type != uint16(tt.notify) {
				t.Errorf("the client was told %+v, want %v", notes, tt.notify)
			}
			p.wait(20 * time.Second)
			if p.server.sa.Established() || p.client.sa.Established() || len(take[Closed](p.server)) > 0 {
				t.Error("it is established, or closed")
			}
			if last := p.dropped[len(p.dropped)-1]; !errors.Is(last, ErrTrials) {
				t.Errorf("after %d messages: %v, want no more trials", len(p.dropped), last)
			}
		})
	}
	// In the other direction: the client does not accept the server's certificate.
	p := signedPair(t, AuthRSA)
	p.server.env.Policy.Identity.Key = newKey(AuthRSA)
	p.initiate()
	if p.client.sa.Established() || len(p.dropped) == 0 || !errors.Is(p.dropped[0], ErrSignature) {
		t.Errorf("the client believes a forged signature; dropped: %v", p.dropped)
	}
}

// The configuration decides between pre-shared keys and certificates; after that
// the order of suites decides.
func TestMethodsAreChosenByWhatIsConfigured(t *testing.T) {
	both := func(e *end) {
		e.env.Policy.PSKs = testPolicy().PSKs
		ca := *theCA()
		e.env.Policy.Identity, e.env.Policy.Authority = ca.identity(e.name, newKey(AuthECDSA256)), &ca
	}
	for _, tt := range []struct {
		name           string
		client, server func(*end)
		want           AuthMethod
	}{
		{"both can both", both, both, AuthECDSA256},
		{"the server has keys", both, func(*end) {}, AuthPSK},
		{"the client has keys", func(*end) {}, both, AuthPSK},
		{"the server has another key", both, func(e *end) {
			both(e)
			e.env.Policy.Identity.Key = newKey(AuthECDSA384)
		}, AuthPSK},
	} {
		p := newPair(t)
		tt.client(p.client)
		tt.server(p.server)
		p.establish().works()
		if got := p.server.sa.Peer().Auth; got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, keys := range []bool{true, false} {
		p := newPair(t)
		want := AuthECDSA256
		if keys {
			want = AuthPSK
			both(p.server)
			p.server.env.Policy.PSKs = nil
		} else {
			both(p.client)
			p.client.env.Policy.PSKs = nil
		}
		p.initiate()
		var no *NoProposal
		if len(p.dropped) != 1 || !errors.As(p.dropped[0], &no) || !slices.Equal(no.Auth, []AuthMethod{want}) || !no.ByAuth {
			t.Errorf("the client has keys: %v; dropped %v", keys, p.dropped)
		}
		if n := one[Note](t, p.client); n.Type != uint16(isakmp.NotifyNoProposalChosen) {
			t.Errorf("the client was told %+v", n)
		}
	}
}
