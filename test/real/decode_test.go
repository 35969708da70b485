//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// decodeSuites are the ESP suites of TestTsharkDecodesEveryPacket, beside the
// first connection's AES-CBC with HMAC-SHA1: one of each kind.
var decodeSuites = []string{"aes128gcm16", "3des-sha1", "aes256-sha512", "aes192-sha384", "aes128-sha256"}

// The columns of a decoded packet.
const (
	colNumber = iota
	colSource
	colProtocols
	colMalformed
	colSeverity
	colMessage
	colExchange
	colEncrypted
	colPayloads
	colICVGood
	colL2TP
	colDatagram
	columns
)

var decodeFields = [columns]string{
	"frame.number", "ip.src", "frame.protocols", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message",
	"isakmp.exchangetype", "isakmp.flag_e", "isakmp.typepayload", "esp.icv_good", "l2tp.avp.message_type",
	"udp.payload",
}

// warning is tshark's severity of what is worth a look (PI_WARN).
const warning = "6291456"

// tshark decrypts and decodes every packet that the server sends, from the
// first of IKE to the goodbyes of a server that stops, over rekeys and with
// each kind of ESP suite, and finds nothing wrong with any.
func TestTsharkDecodesEveryPacket(t *testing.T) {
	var conns strings.Builder
	for i, esp := range decodeSuites {
		fmt.Fprintf(&conns, "\nconn e%d\n\talso=vpn\n\tesp=%s!\n", i, esp)
	}
	file := filepath.Join(t.TempDir(), "conns")
	if err := os.WriteFile(file, []byte(conns.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := t.TempDir()
	s := here.Serve(t, lab.Config{"ipsec": fmt.Sprintf("key_log = %q", keys)})
	capture := here.Capture(t)
	g := here.Connect(t, lab.Client{Args: []string{"--lifetime", "15", "--ikelifetime", "25", "--conf", file}})
	g.Exec(t, "ping -q -c 20 -i 0.05 -s 1372 "+lab.AppIP)
	if !lab.Wait(40*time.Second, func() bool { return len(s.Lines("IKE up")) > 1 && len(s.Lines("ESP up")) > 3 }) {
		t.Error("the client did not rekey")
	}
	g.Exec(t, "ping -q -c 20 -i 0.05 -s 100 "+lab.AppIP)
	newDepot(t, 2_000_000).fetches(t, g)
	for i := range decodeSuites {
		if code := g.Redial(t, fmt.Sprintf("e%d", i)); code != lab.Connected {
			t.Fatalf("%s: the client did not connect: %d", decodeSuites[i], code)
		}
		g.Exec(t, "ping -q -c 10 -i 0.05 -s 1000 "+lab.AppIP)
	}
	s.Stop(t)
	capture.Stop(t)

	seen, messages := map[string]int{}, map[string]bool{}
	for _, p := range capture.Decode(t, keys, decodeFields[:]...) {
		if from, _, _ := strings.Cut(p[colSource], ","); from != lab.ServerIP {
			continue
		}
		// A slow client is sent a message again. What tshark shows of the copy
		// says nothing: it decrypts it by the IV of the message after it.
		if contains(p[colProtocols], ":isakmp") && messages[p[colDatagram]] {
			seen["sent again"]++
			continue
		}
		messages[p[colDatagram]] = true
		judge(t, p, seen)
	}
	t.Logf("the server sent, as tshark names it: %v", seen)
	for _, want := range []string{
		"Main Mode", "Quick Mode", "Informational", "SCCRP", "ICRP", "CDN", "StopCCN", "ZLB", "lcp", "chap", "ipcp", "icmp", "tcp",
	} {
		if seen[want] == 0 {
			t.Errorf("the server sent no %s that tshark decoded", want)
		}
	}
}

// judge looks at one packet of the server's and notes what it is.
func judge(t *testing.T, p []string, seen map[string]int) {
	t.Helper()
	for severity := range strings.SplitSeq(p[colSeverity], ",") {
		if len(severity) >= len(warning) && severity >= warning {
			t.Errorf("packet %s (%s): tshark says %s", p[colNumber], p[colProtocols], p[colMessage])
		}
	}
	if p[colMalformed] != "" {
		t.Errorf("packet %s (%s) is malformed", p[colNumber], p[colProtocols])
	}
	layers := strings.Split(p[colProtocols], ":")
	top := layers[len(layers)-1]
	if top == "data" {
		top = layers[len(layers)-2]
	}
	switch {
	case contains(p[colProtocols], ":isakmp"):
		// A message that tshark cannot decrypt shows no payloads.
		if p[colPayloads] == "" {
			t.Errorf("packet %s of IKE was not decoded", p[colNumber])
		}
		seen[map[string]string{"2": "Main Mode", "32": "Quick Mode", "5": "Informational"}[p[colExchange]]]++
	case contains(p[colProtocols], ":esp"):
		if !contains(p[colProtocols], ":esp:udp:l2tp") || p[colICVGood] != "1" && p[colICVGood] != "True" {
			t.Errorf("packet %s of ESP was not decrypted, or its ICV is wrong: %s, %q", p[colNumber], p[colProtocols], p[colICVGood])
		}
		if top == "l2tp" {
			top = map[string]string{"2": "SCCRP", "11": "ICRP", "14": "CDN", "4": "StopCCN", "6": "Hello", "": "ZLB"}[p[colL2TP]]
		}
		seen[top]++
	case contains(p[colProtocols], ":udpencap"):
		seen["keepalive"]++
	default:
		t.Errorf("packet %s is nothing that tshark knows: %s", p[colNumber], p[colProtocols])
	}
}
