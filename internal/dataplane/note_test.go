package dataplane

import (
	"bytes"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/udp"
)

func TestControlMessagesGoToTheInbox(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		message := []byte{0xc8, 0x02, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0}
		r.client.udp(1701, 1701, message)
		synctest.Wait()
		notes := r.inbox.take(NoteControl)
		if len(notes) != 1 || !bytes.Equal(notes[0].Data, message) || notes[0].Remote != r.client.conn.Local() {
			t.Errorf("got %+v", notes)
		}
		r.inbox.setFull(true)
		r.client.udp(1701, 1701, message)
		r.wantDrop(DropInbox, 1, "the inbox is full")
	})
}

func TestOtherFramesGoToTheInbox(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.session.SetNetwork(nil, 0) // PPP talks before the network is up
		for _, frame := range [][]byte{
			{0xff, 0x03, 0xc0, 0x21, 9, 0, 0, 8, 1, 2, 3, 4}, // LCP Echo-Request
			{0xc0, 0x21, 9, 0, 0, 8, 1, 2, 3, 4},
			{0xff, 0x03, 0x80, 0x21, 1, 0, 0, 4}, // IPCP
			{0xfd, 0x01, 0x02},                   // compressed, which nobody agreed to
			{0xff, 0x03},
			{0x02},
		} {
			r.client.frame(frame)
			synctest.Wait()
			if notes := r.inbox.take(NoteFrame); len(notes) != 1 || notes[0].Session != ourSession || !bytes.Equal(notes[0].Data, frame) {
				t.Errorf("frame %x: got %+v", frame, notes)
			}
		}
	})
}

func TestBroadcastAndDHCPGoToTheInbox(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		for _, ip := range [][]byte{
			udp4(clientAddr, netip.MustParseAddr("255.255.255.255"), 67, 300), // DHCPINFORM
			udp4(clientAddr, netip.MustParseAddr("10.83.0.1"), 67, 300),
			udp4(clientAddr, netip.MustParseAddr("224.0.0.251"), 5353, 30),
			udp4(netip.MustParseAddr("169.254.7.7"), farAddr, 137, 30),
			ip4(clientAddr, netip.MustParseAddr("224.0.0.22"), 2, 8), // IGMP
		} {
			r.client.ip(ip)
			synctest.Wait()
			if notes := r.inbox.take(NotePacket); len(notes) != 1 || notes[0].Session != ourSession || !bytes.Equal(notes[0].Data, ip) {
				t.Errorf("%x: got %+v", ip[:24], notes)
			}
		}
		if got := r.device.Poll(); got != nil {
			t.Errorf("the device got %x", got)
		}
	})
}

func TestBroadcastIsRateLimited(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		flood := func() int {
			for range 200 {
				r.client.ip(udp4(clientAddr, netip.MustParseAddr("255.255.255.255"), 137, 50))
			}
			synctest.Wait()
			return len(r.inbox.take(NotePacket))
		}
		if n := flood(); n != packetBurst {
			t.Errorf("of a burst of 200, %d came", n)
		}
		time.Sleep(5 * packetEvery) // virtual
		if n := flood(); n != 5 {
			t.Errorf("after time for 5, %d came", n)
		}
		r.wantDrop(DropRate, 400-packetBurst-5, "the rest is dropped")
	})
}

func TestFirstUseIsToldOnce(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		message := []byte{0xc8, 0x02, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0}
		r.inbox.setFull(true)
		r.client.udp(1701, 1701, message)
		synctest.Wait()
		r.inbox.setFull(false)
		for range 3 {
			r.client.udp(1701, 1701, message)
		}
		synctest.Wait()
		if n := r.inbox.notes; len(n) != 4 || n[0].Kind != NoteFirstUse || n[0].SPI != r.view.In[0].SPI() {
			t.Errorf("got %+v; want the first use, told again after a full inbox, before the messages", n)
		}
	})
}

func TestMovedEndpoint(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		ip := udp4(clientAddr, farAddr, 53, 30)
		r.client.ip(ip)
		synctest.Wait()
		if n := r.inbox.take(NoteMoved); len(n) != 0 {
			t.Errorf("moved without moving: %+v", n)
		}
		old := *r.client
		late := seal(t, old.out, make([]byte, 20))
		r.rekey(testSuite)
		other := r.net.Host("203.0.113.99").Listen(4501)
		r.client.conn, old.conn = other, other

		r.client.ip(ip)
		r.client.ip(ip)
		synctest.Wait()
		n := r.inbox.take(NoteMoved)
		if len(n) == 0 || n[0].Remote != other.Local() || n[0].Local != r.client.server {
			t.Errorf("after a move: %+v", n)
		}

		time.Sleep(time.Second) // virtual
		old.raw(late)
		old.ip(ip)
		synctest.Wait()
		if n := r.inbox.take(NoteMoved); len(n) != 0 {
			t.Errorf("the old SA moved the endpoint: %+v", n)
		}
		early := seal(t, r.client.out, make([]byte, 20))
		v := *r.view
		v.Remote = other.Local()
		r.publish(&v)
		r.client.ip(ip)
		synctest.Wait()
		r.client.conn = r.net.Host("203.0.113.100").Listen(4502)
		r.client.raw(early) // authentic, never seen, and late
		synctest.Wait()
		if n := r.inbox.take(NoteMoved); len(n) != 0 {
			t.Errorf("a late packet moved the endpoint: %+v", n)
		}
	})
}

// The peer may go on with its old SA for a while after a new one was agreed on, and
// move meanwhile.
func TestTheSAThatIsUsedMovesTheEndpoint(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		ip := udp4(clientAddr, farAddr, 53, 30)
		r.client.ip(ip)
		old := *r.client
		r.rekey(testSuite)
		old.conn = r.net.Host("203.0.113.99").Listen(4501)
		old.ip(ip)
		synctest.Wait()
		if n := r.inbox.take(NoteMoved); len(n) != 1 || n[0].Remote != old.conn.Local() {
			t.Errorf("before the new SA is used: %+v", n)
		}
		r.client.ip(ip)
		time.Sleep(time.Second) // virtual
		old.ip(ip)
		synctest.Wait()
		if n := r.inbox.take(NoteMoved); len(n) != 0 {
			t.Errorf("the old SA moved the endpoint: %+v", n)
		}
	})
}

func TestLimitIsToldOnce(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.view.In[0].SetLimit(200)
		for range 5 {
			r.client.ip(udp4(clientAddr, farAddr, 53, 30))
		}
		synctest.Wait()
		if n := r.inbox.take(NoteKilobytes); len(n) != 1 || n[0].SPI != r.view.In[0].SPI() {
			t.Errorf("inbound: %+v", n)
		}
		r.view.Out.SetLimit(200)
		for range 5 {
			r.device.Inject(0, udp4(farAddr, clientAddr, 53, 100))
		}
		synctest.Wait()
		if n := r.inbox.take(NoteKilobytes); len(n) != 1 || n[0].SPI != r.view.In[0].SPI() {
			t.Errorf("outbound: %+v", n)
		}
	})
}

// What the control plane says at once to a message goes back to its sender, behind a
// marker where there was one, also where users' packets come in the same batch.
func TestRepliesGoBackAtOnce(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		for port, marker := range map[uint16]string{500: "", 4500: "\x00\x00\x00\x00"} {
			server := netip.AddrPortFrom(serverAddr, port)
			var list []udp.Packet
			for _, text := range []string{"greetings", "hello", "hello", "goodbye", "hello"} {
				list = append(list, udp.Packet{Data: []byte(marker + text), Remote: server})
				if port == 4500 {
					list = append(list, udp.Packet{Data: r.client.sealed(1701, 1701, []byte{0}), Remote: server})
				}
			}
			if _, err := r.client.conn.WriteBatch(list); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				p := []udp.Packet{{Data: make([]byte, 100)}}
				if _, err := r.client.conn.Receive(p); err != nil {
					t.Fatal(err)
				}
				if string(p[0].Data) != marker+"you are known" || p[0].Remote != server {
					t.Errorf("%q comes from %v", p[0].Data, p[0].Remote)
				}
			}
		}
	})
}
