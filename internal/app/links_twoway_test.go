package app

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
)

// The end that is dialled authenticates itself, too, by the name and the password that it
// shows when it dials.
func TestBothEndsOfALinkAuthenticateThemselves(t *testing.T) {
	for name, x := range map[string]struct {
		head, branch, both settingsOf
		want               string // the branch says of the head office
	}{
		"by default":           {nil, nil, nil, "MS-CHAPv2"},
		"required":             {nil, settingsOf{"peer_auth": `"required"`}, nil, "MS-CHAPv2"},
		"by CHAP":              {nil, settingsOf{"peer_auth": `"required"`}, settingsOf{"auth.methods": `["chap"]`}, "CHAP-MD5"},
		"by PAP":               {nil, settingsOf{"peer_auth": `"required"`}, settingsOf{"auth.methods": `["pap"]`}, "PAP"},
		"not asked":            {nil, settingsOf{"peer_auth": `"no"`}, nil, "none"},
		"the other end cannot": {settingsOf{"user": "", "password": ""}, nil, nil, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				head := settingsOf{"dial": `"never"`}
				for key, value := range x.head {
					head[key] = value
				}
				_, a, b := sitesWith(t, 1, head, x.branch, x.both)
				time.Sleep(3 * time.Second)
				wantOne(t, a, b)
				passes(t, a, b, 100)
				if got := b.link().PeerAuth; got != x.want {
					t.Errorf("the head office has authenticated itself by %s, want %s", got, x.want)
				}
				if got := a.link().PeerAuth; got == "none" {
					t.Error("the branch has not authenticated itself")
				}
			})
		})
	}
}

// An end that shows another name or password than the one that is expected is not the other
// end, and both say so.
func TestAnEndThatIsSomebodyElse(t *testing.T) {
	for name, x := range map[string]struct {
		head, branch settingsOf
		want         string
	}{
		"another password":              {nil, settingsOf{"peer_password": `"three"`}, `the other end shows the name "head", and is not accepted: its password is not peer_password`},
		"another name":                  {nil, settingsOf{"peer_user": `"tail"`}, `the other end shows the name "head", and is not accepted: peer_user is "tail"`},
		"it does not, and it must":      {settingsOf{"user": "", "password": ""}, settingsOf{"peer_auth": `"required"`}, "the peer rejects LCP"},
		"another password, and it must": {nil, settingsOf{"peer_password": `"three"`, "peer_auth": `"required"`}, "its password is not peer_password"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				head := settingsOf{"dial": `"never"`}
				for key, value := range x.head {
					head[key] = value
				}
				_, a, b := sites(t, 1, head, x.branch)
				time.Sleep(30 * time.Second)
				if l := b.link(); l.State == "up" || a.link().State == "up" || !strings.Contains(l.Error, x.want) {
					t.Errorf("%+v", l)
				}
			})
		})
	}
}

// A link whose name is an ordinary user at the other end is up as that user: nobody there
// authenticates itself to users. It is so where that server has links of its own, too.
func TestALinkAsAnOrdinaryUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := udptest.New(1)
		a := newSite(t, n.Host(headAddr), settingsOf{"name": `"other"`, "remote": `["203.0.113.1"]`, "user": `"head"`, "password": `"one"`, "peer_user": `"other"`, "peer_password": `"two"`},
			settingsOf{"user": `[{ name = "alice", password = "p" }]`})
		b := newSite(t, n.Host(branchAddr), settingsOf{"name": `"head"`, "remote": `["` + headAddr + `"]`, "user": `"alice"`, "password": `"p"`, "address": `"peer"`, "peer_user": `"head"`, "peer_password": `"one"`}, nil)
		time.Sleep(5 * time.Second)
		if l := b.link(); l.State != "up" || l.PeerAuth != "none" || a.sessions() != 1 {
			t.Errorf("%+v, %d sessions\n%s", l, a.sessions(), a.out.String())
		}
	})
}

// An end that is refused says so in words, and once, whatever it tries: what differs from one try to
// the next is no new reason.
func TestARefusedLinkSaysSoOnce(t *testing.T) {
	for name, x := range map[string]struct {
		head, branch settingsOf
		want         string
	}{
		"a wrong password": {nil, settingsOf{"password": `"wrong"`}, "the other end refuses the name or the password, or does not admit the link now: its log says which (error 691)"},
		"a wrong key":      {nil, settingsOf{"psk": `"another key than the other end has"`}, "the other end answered, and then nothing more came in time"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				head := settingsOf{"dial": `"never"`}
				for key, value := range x.head {
					head[key] = value
				}
				_, _, b := sites(t, 1, head, x.branch)
				time.Sleep(time.Minute)
				if l := b.link(); l.Tries < 3 || !strings.Contains(l.Error, x.want) {
					t.Errorf("%+v", l)
				}
				if n := strings.Count(b.out.String(), `"link could not be dialled"`); n != 1 {
					t.Errorf("it says so %d times:\n%s", n, b.out.String())
				}
			})
		})
	}
}
