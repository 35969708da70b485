package dataplane

import (
	"testing"
	"testing/synctest"

	"github.com/adit-vpn/adit/l2tp"
)

// A doubted SA passes nothing but a message that begins a tunnel, until a data
// message has the ids of a session. Wrong ids are reported. Nothing sent by such an SA
// counts as a sign of life, or moves the endpoint.
func TestADoubtedSAMustShowTheIdsOfASession(t *testing.T) {
	data := func(tunnel, session uint16) []byte {
		frame := append([]byte{0xff, 0x03, 0, pppIPv4}, udp4(clientAddr, farAddr, 53, 10)...)
		return append(l2tp.AppendDataHeader(nil, tunnel, session, len(frame), nil), frame...)
	}
	control := func(tunnel uint16) []byte {
		return []byte{0xc8, 2, 0, 12, byte(tunnel >> 8), byte(tunnel), 0, 0, 0, 0, 0, 0}
	}
	begins := []byte{ // an SCCRQ of a peer that assigns 5
		0xc8, 2, 0, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 1,
		0x80, 8, 0, 0, 0, 2, 1, 0, 0x80, 8, 0, 0, 0, 9, 0, 5,
	}
	inRig(t, Config{}, func(r *rig) {
		v := *r.view
		v.Doubted = []uint32{v.In[0].SPI()}
		r.publish(&v)
		for _, b := range [][]byte{
			data(ourTunnel+1, ourSession), data(ourTunnel, ourSession+1), data(0, 0),
			control(0), control(ourTunnel), control(ourTunnel + 1), {0x40}, nil,
		} {
			r.client.udp(1701, 1701, b)
		}
		r.wantDrop(DropDoubted, 8, "others' ids")
		all := len(r.inbox.notes)
		if n := len(r.inbox.take(NoteWrong)); n != 3 || all != n {
			t.Errorf("%d packets are told of, in %d notes, want three, of the data messages", n, all)
		}
		if !r.slot.LastIn().IsZero() {
			t.Errorf("a sign of life at %v", r.slot.LastIn())
		}
		r.client.udp(1701, 1701, begins)
		synctest.Wait()
		if n := len(r.inbox.take(NoteControl)); n != 1 {
			t.Errorf("%d messages that begin a tunnel passed, want 1", n)
		}
		for _, kind := range []NoteKind{NoteFirstUse, NoteShown} { // which is said again, until it is heard
			r.client.udp(1701, 1701, data(ourTunnel, ourSession))
			synctest.Wait()
			n := r.inbox.take(kind)
			if len(n) != 1 || n[0].SPI != v.Doubted[0] || kind == NoteShown && n[0].Session != ourSession || r.device.Poll() == nil {
				t.Errorf("notes of kind %d by the session's own packet: %+v", kind, n)
			}
		}
		r.wantDrop(DropDoubted, 8, "its own")
	})
}
