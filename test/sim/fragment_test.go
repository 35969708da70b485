package sim

import (
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/test/client"
)

// shredder is a client's socket that sends every IKE message as fragments if that is
// possible, several at once, as clients with large certificate requests do.
type shredder struct {
	udp.Conn
	marker int // bytes
	sent   int // fragments
}

func (s *shredder) WriteBatch(list []udp.Packet) (int, error) {
	for i, p := range list {
		for _, data := range s.shred(p.Data) {
			piece := p
			piece.Data = data
			if _, err := s.Conn.WriteBatch([]udp.Packet{piece}); err != nil {
				return i, err
			}
		}
	}
	return len(list), nil
}

func (s *shredder) shred(data []byte) [][]byte {
	if len(data) < s.marker || s.marker > 0 && string(data[:4]) != "\x00\x00\x00\x00" {
		return [][]byte{data} // ESP
	}
	h, _, err := isakmp.ParseHeader(data[s.marker:])
	if err != nil || h.ResponderCookie == [8]byte{} {
		return [][]byte{data}
	}
	rest := data[s.marker:]
	h.Flags = 0
	var list [][]byte
	for n := uint8(1); len(rest) > 0; n++ {
		k := min(len(rest), 70)
		f := isakmp.Fragment{ID: 1, Number: n, Last: k == len(rest), Data: rest[:k]}
		list = append(list, isakmp.AppendMessage(append([]byte(nil), data[:s.marker]...), h, f))
		rest = rest[k:]
	}
	s.sent += len(list)
	return list
}

// All fragments of message 3 arrive before the server has made a connection of the first
// fragment.
func TestAClientThatSendsEverythingInFragments(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		var sockets []*shredder
		l := w.Laptop(w.Net.NAT("198.51.100.1").Host("10.0.0.2"), func(c *client.Config) {
			for i := range c.Workers[0] {
				socket := &c.Workers[0][i]
				s := &shredder{Conn: socket.Conn}
				if socket.Kind == dataplane.SocketNATT {
					s.marker = 4
				}
				socket.Conn = s
				sockets = append(sockets, s)
			}
		})
		began := time.Now()
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 1900*time.Millisecond { // Connect waits for a second at its end
			t.Errorf("it took %v: something was lost and sent again", took)
		}
		passes(t, w, l, d, 1)
		for _, s := range sockets {
			if s.sent < 3 {
				t.Errorf("%d fragments were sent from the socket whose marker has %d bytes", s.sent, s.marker)
			}
		}
	})
}
