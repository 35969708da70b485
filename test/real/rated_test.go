//go:build real

package real

import (
	"fmt"
	"math"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// overhead is what IPv4 and UDP have in front of a datagram's bytes: rates are of IP packets.
const overhead = 28

// datagram is how long those that measure rates are.
const datagram = 1200

// rated expects the rates of a session, from the client and to it, in bit/s of IP, when UDP comes
// faster.
func rated(in, out float64) func(*visit) {
	return func(v *visit) {
		for way, x := range map[string]struct{ want, got float64 }{"from the client": {in, upUDP(v.T, v.g)}, "to the client": {out, downUDP(v.T, v.g, v.session.Address, 2*out)}} {
			v.Logf("%s: %.3f Mbit/s of %.0f", way, x.got/1e6, x.want/1e6)
			if math.Abs(x.got/x.want-1) > 0.03 {
				v.Errorf("%s %.3f Mbit/s come through, want %.0f within 3 %%", way, x.got/1e6, x.want/1e6)
			}
		}
	}
}

// upUDP is how much comes through of what a guest sends as fast as it can.
func upUDP(t *testing.T, g *lab.Guest) float64 {
	t.Helper()
	socket := lab.ListenUDP(t, here.Server, lab.AppIP+":0")
	defer socket.Close()
	var octets atomic.Int64
	go func() {
		for b := make([]byte, 2048); ; {
			n, err := socket.Read(b)
			if err != nil {
				return
			}
			octets.Add(int64(n + overhead))
		}
	}()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = g.Run(fmt.Sprintf("timeout 4 bash -c 'exec dd if=/dev/zero bs=%d >/dev/udp/%s/%d'", datagram, lab.AppIP, socket.LocalAddr().(*net.UDPAddr).Port))
	}()
	lab.Wait(patience, func() bool { return octets.Load() > 0 })
	time.Sleep(time.Second) // a bucket of 64 KiB is empty then
	began, before := time.Now(), octets.Load()
	time.Sleep(2 * time.Second)
	got := float64(octets.Load()-before) * 8 / time.Since(began).Seconds()
	<-sent
	return got
}

// downUDP is how much comes through to a guest of what it is sent at a rate.
func downUDP(t *testing.T, g *lab.Guest, address string, rate float64) float64 {
	t.Helper()
	socket := lab.ListenUDP(t, here.Server, lab.AppIP+":0")
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		to := &net.UDPAddr{IP: net.ParseIP(address), Port: 9}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		began, sent, b := time.Now(), 0, make([]byte, datagram)
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for ; float64(sent*(datagram+overhead)*8) < rate*time.Since(began).Seconds(); sent++ {
				_, _ = socket.WriteTo(b, to) // the client has nobody there, and may say so
			}
		}
	}()
	out := g.Exec(t, `sleep 1; f=/sys/class/net/ppp0/statistics/rx_bytes
read a <$f; s=$EPOCHREALTIME; sleep 2; read b <$f; e=$EPOCHREALTIME
echo $((b - a)) $((${e/./} - ${s/./}))`)
	close(stop)
	<-done
	var octets, micros float64
	if _, err := fmt.Sscan(out, &octets, &micros); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	return octets * 8 / (micros / 1e6)
}
