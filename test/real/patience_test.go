//go:build real

package real

import (
	"crypto/hmac"
	"crypto/md5"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/adit-vpn/adit/test/real/lab"
)

// standIn is a RADIUS server that answers nobody's login, for what FreeRADIUS cannot do.
type standIn struct {
	alive bool // it answers Status-Server

	mu       sync.Mutex
	packets  int
	requests []string // identifier and authenticator of each Access-Request of the lab's user
}

func newStandIn(t *testing.T, address string, alive bool) *standIn {
	t.Helper()
	s := &standIn{alive: alive}
	socket := lab.ListenUDP(t, here.Server, address)
	go func() {
		for buf := make([]byte, radius.MaxPacketLength); ; {
			n, from, err := socket.ReadFromUDP(buf)
			if err != nil {
				return // the test has ended
			}
			if p, err := radius.Parse(buf[:n], []byte(lab.RadiusSecret)); err == nil {
				s.took(socket, from, p)
			}
		}
	}()
	return s
}

func (s *standIn) took(socket *net.UDPConn, from *net.UDPAddr, p *radius.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packets++
	switch {
	case p.Code == radius.CodeAccessRequest && rfc2865.UserName_GetString(p) == lab.User:
		s.requests = append(s.requests, fmt.Sprintf("%d %x", p.Identifier, p.Authenticator))
	case p.Code == radius.CodeStatusServer && s.alive:
		r := p.Response(radius.CodeAccessAccept)
		_ = rfc2869.MessageAuthenticator_Set(r, make([]byte, md5.Size))
		plain, _ := r.MarshalBinary()
		mac := hmac.New(md5.New, p.Secret)
		mac.Write(plain)
		_ = rfc2869.MessageAuthenticator_Set(r, mac.Sum(nil))
		b, _ := r.Encode()
		_, _ = socket.WriteToUDP(b, from)
	}
}

// seen is how many packets came, and the requests of the user that differ from each other.
func (s *standIn) seen() (packets int, requests []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests = slices.Clone(s.requests)
	slices.Sort(requests)
	return s.packets, slices.Compact(requests)
}

// radiusServers is the lab's configuration with more servers for authentication in front of its FreeRADIUS.
func radiusServers(first ...string) lab.Config {
	c := lab.RadiusConfig()
	var list string
	for _, a := range first {
		list += fmt.Sprintf("{ address = %q, secret = %q }, ", a, lab.RadiusSecret)
	}
	c["radius"] = strings.Replace(c["radius"], "servers = [", "servers = ["+list, 1)
	return c
}

// threads have FreeRADIUS serve several requests at once, as it does where it is no debugger's.
const threads = `
max_request_time = 120
thread pool {
	start_servers = 4
	max_servers = 8
	min_spare_servers = 1
	max_spare_servers = 4
}
`

// threaded are the arguments for it: with -X there are no threads.
var threaded = []string{"-fxx", "-l", "stdout"}

// slow takes a user's time as a person does who looks for a telephone. One program may not take
// longer than 30 s in FreeRADIUS.
func slow(seconds int) lab.RadiusSetup {
	module := func(name string) string {
		return fmt.Sprintf("exec %s {\n wait = yes\n program = \"/bin/sleep %d\"\n input_pairs = request\n timeout = 30\n}\n", name, seconds/2)
	}
	return lab.RadiusSetup{
		Beside: threads, Args: threaded, Modules: module("ring") + module("approve"),
		Authorize: fmt.Sprintf("if (&User-Name == %q) {\n ring\n approve\n}\n", lab.User),
	}
}

// identifiers are those of the requests that FreeRADIUS's log shows of the lab's user.
func identifiers(r *lab.Radius) (list []string) {
	began := map[string]string{}
	received := regexp.MustCompile(`\((\d+)\) Received Access-Request Id (\d+) from`)
	named := regexp.MustCompile(`\((\d+)\) +User-Name = "` + lab.User + `"`)
	for line := range strings.Lines(r.Log()) {
		if m := received.FindStringSubmatch(line); m != nil {
			began[m[1]] = m[2]
		}
		if m := named.FindStringSubmatch(line); m != nil && began[m[1]] != "" {
			list = append(list, began[m[1]])
			delete(began, m[1])
		}
	}
	return list
}

// A user approves the login on a telephone, which takes 40 s: the client waits and comes in, one
// request is one to the server, and the second server hears nothing of it.
func TestALoginThatTakesFortySeconds(t *testing.T) {
	freeradius := here.StartRadiusWith(t, slow(40))
	second := newStandIn(t, "127.0.0.3:1812", true)
	c := lab.RadiusConfig()
	c["radius"] = strings.Replace(c["radius"], "}]", fmt.Sprintf("}, { address = \"127.0.0.3:1812\", secret = %q }]", lab.RadiusSecret), 1)
	s := here.Serve(t, c)
	g := here.Connect(t, lab.Client{Args: []string{"--ppp-timeout", "70"}})
	if took := g.Step(t, "ppp"); took < 40*time.Second || took > 45*time.Second {
		t.Errorf("PPP took %v, of which FreeRADIUS has 40 s", took)
	}
	if ids := identifiers(freeradius); len(ids) != 1 {
		t.Errorf("FreeRADIUS was asked with the identifiers %v, want one", ids)
	}
	if packets, _ := second.seen(); packets != 0 {
		t.Errorf("the second server got %d packets", packets)
	}
	if n := len(s.Lines("a RADIUS server is given up until it answers a probe")); n != 0 {
		t.Errorf("a server was given up %d times", n)
	}
	g.HangUp(t)
	s.Stop(t)
}

// A server that lives, as it answers Status-Server, and says nothing of the user is asked once,
// and nobody else is.
func TestAServerThatKeepsSilentOfAUserIsAskedOnce(t *testing.T) {
	first, second := newStandIn(t, "127.0.0.2:1812", true), newStandIn(t, "127.0.0.3:1812", true)
	c := radiusServers("127.0.0.2:1812", "127.0.0.3:1812")
	c["radius"] += "\npatience = \"12s\""
	s := here.Serve(t, c)
	if _, code := here.Try(t, lab.Client{}); code != lab.NoPPP {
		t.Errorf("connect ended with %d, want %d", code, lab.NoPPP)
	}
	if _, requests := first.seen(); len(requests) != 1 {
		t.Errorf("the first server was asked with %q, want one request", requests)
	}
	if packets, requests := second.seen(); len(requests) != 0 {
		t.Errorf("the second server got %d packets, of which %q are requests of the user", packets, requests)
	}
	line := s.Await(t, 1, "authentication had no verdict; the client shows that the user was refused")
	t.Logf("adit: %v", line["error"])
	s.Stop(t)
}

// The first server's packets are dropped on the way, which nobody is told: the first login waits
// for it, later ones do not, and when it is back it is asked again.
func TestAFirstServerThatIsABlackHole(t *testing.T) {
	const hole = "127.0.0.2:1812"
	freeradius := here.StartRadiusWith(t, lab.RadiusSetup{
		Beside: threads, Args: threaded, Within: "listen {\n type = auth\n ipaddr = 127.0.0.2\n port = 1812\n}\n",
	})
	drop := func() {
		lab.Run(t, here.Server, "nft", "add table inet hole; add chain inet hole in { type filter hook input priority -300; }; add rule inet hole in ip daddr 127.0.0.2 drop")
	}
	mend := func() { lab.Run(t, here.Server, "nft", "delete table inet hole") }
	drop()
	t.Cleanup(func() { _ = lab.Command(here.Server, "nft", "delete table inet hole").Run() }) // it is gone if the test got so far
	s := here.Serve(t, radiusServers(hole))
	g := here.Connect(t, lab.Client{})
	login := func(limit time.Duration) {
		t.Helper()
		took := g.Step(t, "ppp")
		t.Logf("PPP took %v", took)
		if took >= limit {
			t.Errorf("PPP took %v, want less than %v", took, limit)
		}
	}
	login(5 * time.Second)
	for range 3 {
		if code := g.Redial(t, "vpn"); code != lab.Connected {
			t.Fatalf("redialling ended with %d", code)
		}
		login(3 * time.Second)
	}
	at127 := func() int { return strings.Count(freeradius.Log(), "to "+hole+" length") }
	if n := at127(); n != 0 {
		t.Fatalf("%d requests came through the hole", n)
	}
	mend()
	began := time.Now()
	if !lab.Wait(30*time.Second, func() bool { return len(s.Lines("a RADIUS server answers again")) > 0 }) {
		t.Fatal("the first server is back, and not asked again within 30 s")
	}
	t.Logf("it is asked again after %v", time.Since(began))
	before := at127()
	if code := g.Redial(t, "vpn"); code != lab.Connected {
		t.Fatalf("redialling ended with %d", code)
	}
	login(3 * time.Second)
	if at127() == before {
		t.Error("the login went to the second server")
	}
	g.HangUp(t)
	s.Stop(t)
}
