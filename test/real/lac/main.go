//go:build real

// Command lac is an L2TP access concentrator with its PPP client over a plain
// UDP socket, for guests whose kernel does IPsec below it: xl2tpd has no IPv6.
//
//	lac LOCAL SERVER USER PASSWORD PING COUNT
//
// It connects, sends COUNT echo requests of many sizes to PING through the
// tunnel, says goodbye, and prints how many were answered.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lac:", err)
		os.Exit(1)
	}
}

// lac is the machines and what drives them.
type lac struct {
	conn    *net.UDPConn
	tunnel  *l2tp.Tunnel
	call    l2tp.Session
	link    *ppp.Link
	peer    uint16 // the server's tunnel id
	network ppp.Network
	user    string
	pass    string
	failed  error
	down    bool
	frames  [][]byte // IP packets that came
}

func run(args []string) error {
	if len(args) != 6 {
		return fmt.Errorf("want LOCAL SERVER USER PASSWORD PING COUNT, got %q", args)
	}
	var addr [3]netip.Addr
	for i, text := range []string{args[0], args[1], args[4]} {
		var err error
		if addr[i], err = netip.ParseAddr(text); err != nil {
			return err
		}
	}
	count, err := strconv.Atoi(args[5])
	if err != nil {
		return err
	}
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr[0], 1701)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr[1], 1701)))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // on the way out
	c := &lac{conn: conn, user: args[2], pass: args[3]}
	c.tunnel = l2tp.NewLAC(l2tp.Env{Rand: rand.Reader, Config: &l2tp.Config{
		HostName: "guest", Window: 8, Sessions: 1, SetupTimeout: 20 * time.Second, CallTimeout: 20 * time.Second,
	}}, time.Now())
	if err := c.until(30*time.Second, func() bool { return c.network.Peer.IsValid() }); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	fmt.Printf("address %v\n", c.network.Peer)
	answered, err := c.ping(addr[2], count)
	if err != nil {
		return err
	}
	fmt.Printf("%d of %d answered\n", answered, count)
	c.link.Close(time.Now(), ppp.ReasonUserRequest)
	if err := c.until(10*time.Second, func() bool { return c.down }); err != nil {
		return fmt.Errorf("leaving: %w", err)
	}
	return nil
}

// until drives the machines until ok, or one of them fails.
func (c *lac) until(patience time.Duration, ok func() bool) error {
	b := make([]byte, 1<<16)
	for end := time.Now().Add(patience); ; {
		c.pump(time.Now())
		switch {
		case ok():
			return nil
		case c.failed != nil:
			return c.failed
		case time.Now().After(end):
			return errors.New("the server does not answer")
		}
		next := time.Now().Add(50 * time.Millisecond)
		if err := c.conn.SetReadDeadline(next); err != nil {
			return err
		}
		n, err := c.conn.Read(b)
		now := time.Now()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.tunnel.HandleTimer(now)
			if c.link != nil {
				c.link.HandleTimer(now)
			}
		case err != nil:
			return err
		default:
			c.receive(now, b[:n])
		}
	}
}

func (c *lac) receive(now time.Time, b []byte) {
	if len(b) > 0 && b[0]&0x80 != 0 {
		_ = c.tunnel.HandlePacket(now, b) // what it drops, the server repeats
		return
	}
	h, err := l2tp.ParseData(b)
	if err != nil || c.link == nil {
		return
	}
	frame := b[h.Off:h.End]
	if ip, ok := bytes.CutPrefix(frame, []byte{0xff, 0x03, 0x00, 0x21}); ok {
		c.frames = append(c.frames, bytes.Clone(ip))
		return
	}
	_ = c.link.HandlePacket(now, frame)
}

func (c *lac) send(frame []byte) {
	b := l2tp.AppendDataHeader(nil, c.peer, c.call.Remote, len(frame), nil)
	_, _ = c.conn.Write(append(b, frame...)) // lost like any datagram
}

// pump drains both machines.
func (c *lac) pump(now time.Time) {
	for more := true; more; {
		more = false
		if e, ok := c.tunnel.NextEvent(); ok {
			more = true
			c.onL2TP(now, e)
		}
		if c.link == nil {
			continue
		}
		if e, ok := c.link.NextEvent(); ok {
			more = true
			c.onPPP(e)
		}
	}
}

func (c *lac) onL2TP(now time.Time, event l2tp.Event) {
	switch e := event.(type) {
	case l2tp.Send:
		_, _ = c.conn.Write(e.Data)
	case l2tp.TunnelUp:
		c.peer = e.Peer.Tunnel
		if _, err := c.tunnel.Call(now, l2tp.Call{Serial: 1, TxSpeed: 1000000}); err != nil {
			c.failed = err
		}
	case l2tp.SessionUp:
		c.call = e.Session
		c.link = ppp.New(ppp.Env{Rand: rand.Reader, Config: &ppp.Config{
			Client: true, MRU: 1400, User: c.user, Password: secret.String(c.pass), Methods: []ppp.Method{ppp.MethodMSCHAPv2},
			SetupTimeout: 20 * time.Second, AuthTimeout: 20 * time.Second,
		}})
		c.link.Start(now)
	case l2tp.CallFailed:
		c.failed = fmt.Errorf("the call failed: %v", e.Result)
	case l2tp.TunnelDown:
		c.failed = fmt.Errorf("the tunnel went down: %v", e.Result)
	}
}

func (c *lac) onPPP(event ppp.Event) {
	switch e := event.(type) {
	case ppp.Send:
		c.send(e.Frame)
	case ppp.NetworkUp:
		c.network = e.Network
	case ppp.Down:
		c.down = true
		if !c.network.Peer.IsValid() {
			c.failed = fmt.Errorf("PPP went down: %v", e.Why)
		}
	}
}

// sizes is how many sizes of echo requests there are: none is larger than what
// goes through without a fragment.
const sizes = 1350

// ping sends echo requests, each when the one before was answered, or a second
// later.
func (c *lac) ping(to netip.Addr, count int) (answered int, err error) {
	for i := range count {
		c.send(append([]byte{0xff, 0x03, 0x00, 0x21}, echoRequest(c.network.Peer, to, uint16(i), i%sizes)...))
		err := c.until(time.Second, func() bool {
			for _, f := range c.frames {
				if len(f) >= 28 && f[20] == 0 && binary.BigEndian.Uint16(f[26:]) == uint16(i) && len(f) == 28+i%sizes {
					return true
				}
			}
			c.frames = c.frames[:0]
			return false
		})
		c.frames = c.frames[:0]
		if err == nil {
			answered++
		} else if c.failed != nil {
			return answered, err
		}
	}
	return answered, nil
}

// echoRequest is an ICMP echo request over IPv4 with n bytes of data (RFC 792).
func echoRequest(from, to netip.Addr, seq uint16, n int) []byte {
	b := make([]byte, 28+n)
	b[0], b[8], b[9] = 0x45, 64, 1
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	binary.BigEndian.PutUint16(b[10:], packet.Fold(packet.Sum(0, b[:20])))
	b[20] = 8
	binary.BigEndian.PutUint16(b[26:], seq)
	for i := range n {
		b[28+i] = byte(i)
	}
	binary.BigEndian.PutUint16(b[22:], packet.Fold(packet.Sum(0, b[20:])))
	return b
}
