//go:build real

package lab

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/adit-vpn/adit/auth"
)

// EAPServer is what wpa_supplicant's eapol_test takes for a RADIUS server: each of its
// packets of EAP goes to an auth.Backend, as one from a PPP link would, and the answers come
// back.
type EAPServer struct {
	backend auth.Backend
	socket  *net.UDPConn

	mu      sync.Mutex
	next    map[string]auth.Backend // of exchanges that are under way, by State
	asked   map[string]byte         // the identifiers of their last Requests
	Verdict auth.Response           // the last one
}

// eapSecret is what eapol_test shares with an EAPServer.
const eapSecret = "of a peer and a test"

// ServeEAP starts an EAPServer.
func ServeEAP(t testing.TB, b auth.Backend) *EAPServer {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &EAPServer{backend: b, socket: socket, next: map[string]auth.Backend{}, asked: map[string]byte{}}
	var run sync.WaitGroup
	run.Go(func() {
		buf := make([]byte, radius.MaxPacketLength)
		for {
			n, from, err := socket.ReadFromUDP(buf)
			if err != nil {
				return
			}
			if p, err := radius.Parse(buf[:n], []byte(eapSecret)); err == nil {
				_, _ = socket.WriteToUDP(s.answer(p), from)
			}
		}
	})
	t.Cleanup(func() {
		_ = socket.Close()
		run.Wait()
	})
	return s
}

// answer is the reply to one Access-Request.
func (s *EAPServer) answer(p *radius.Packet) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := string(rfc2865.State_Get(p))
	by, id := s.backend, byte(0)
	if state != "" {
		by, id = s.next[state], s.asked[state]
	}
	at := netip.MustParseAddrPort("192.0.2.7:4500")
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	answer, err := by.Authenticate(ctx, &auth.Request{
		Method: auth.EAP, User: rfc2865.UserName_GetString(p), EAP: rfc2869.EAPMessage_Get(p), MTU: 1400,
		Call: auth.Call{SessionID: "eap", Remote: at, Local: at},
	})
	if err != nil {
		answer = auth.Response{Verdict: auth.NotAllowed, Detail: err.Error()}
	}
	code, packet := radius.CodeAccessReject, []byte{4, id, 0, 4}
	r := p.Response(code)
	switch answer.Verdict {
	case auth.Asked:
		code, packet = radius.CodeAccessChallenge, answer.EAP
		state = hex.EncodeToString([]byte{byte(len(s.next)), packet[1]})
		s.next[state], s.asked[state] = answer.Next, packet[1]
		_ = rfc2865.State_SetString(r, state)
	case auth.Accepted:
		code, packet = radius.CodeAccessAccept, []byte{3, id, 0, 4}
		s.Verdict = answer
	default:
		s.Verdict = answer
	}
	r.Code = code
	_ = rfc2869.EAPMessage_Set(r, packet)
	_ = rfc2869.MessageAuthenticator_Set(r, make([]byte, 16))
	plain, _ := r.MarshalBinary()
	mac := hmac.New(md5.New, []byte(eapSecret))
	mac.Write(plain)
	_ = rfc2869.MessageAuthenticator_Set(r, mac.Sum(nil))
	b, _ := r.Encode()
	return b
}

// Last is the last verdict.
func (s *EAPServer) Last() auth.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Verdict
}

// Try has eapol_test authenticate itself as a block network={} says, and reports whether it
// has seen a success, and what it printed.
func (s *EAPServer) Try(t testing.TB, network string) (bool, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "eapol.conf")
	if err := os.WriteFile(file, []byte("network={\n\tkey_mgmt=IEEE8021X\n"+network+"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(s.socket.LocalAddr().String())
	out, err := exec.Command("eapol_test", "-n", "-t", "20", "-c", file, "-a", "127.0.0.1", "-p", port, "-s", eapSecret).CombinedOutput()
	return err == nil, string(out)
}
