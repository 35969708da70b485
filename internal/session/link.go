package session

import (
	"time"

	"github.com/adit-vpn/adit/ppp"
)

// pump drains the link's events. The event that a network is open here goes before the
// Configure-Ack that opens it at the client, because a client's first packet follows that
// Ack at once.
func (s *Session) pump(now time.Time) {
	var held ppp.Event
	for {
		e, ok := s.link.NextEvent()
		if held != nil && !opensNetwork(e) {
			s.onLink(now, held)
			held = nil
		}
		if !ok {
			return
		}
		if _, sends := e.(ppp.Send); sends {
			held = e
			continue
		}
		s.onLink(now, e)
	}
}

func opensNetwork(e ppp.Event) bool {
	switch e.(type) {
	case ppp.NetworkUp, ppp.Network6Up:
		return true
	}
	return false
}

func (s *Session) onLink(now time.Time, event ppp.Event) {
	switch e := event.(type) {
	case ppp.Send:
		s.push(Send{e.Frame})
	case ppp.AuthRequest:
		s.ask(now, e)
	case ppp.NetworkUp:
		s.networkUp(now, e)
	case ppp.NetworkDown:
		// The session ends when its link ends, which says why. Until then its network may
		// come up again.
		s.undial()
		s.st.four = false
		s.route(s.st.six.mtu)
	case ppp.Network6Up:
		s.network6Up(now, e)
	case ppp.Network6Down:
		s.network6Down()
	case ppp.Compression:
		s.push(Compression{e})
	case ppp.AuthFailed:
		s.push(Failed{e.Message})
	case ppp.Proved:
		s.push(Proved{})
	case ppp.Note:
		s.note(e.Kind.String(), e.Subject())
	case ppp.Down:
		s.st.why = e.Why
		s.leftOpen(now)
		s.networkDown(now, CauseOf(e.Why))
		s.push(Ended{e.Why, e.Detail})
	case ppp.Authenticated:
		if s.st.alone != "" {
			s.push(Passed{})
		}
	case ppp.LinkUp:
		// The session is up when its network is.
	}
}

// watch tells the link that its peer is a router, which is asked as often as the grant says.
func (s *Session) watch() {
	if l := s.st.grant.Link; l != nil && l.Echo > 0 {
		s.link.SetRouter(l.Echo)
	}
}

// note tells the driver of something that had no effect. Notes of a challenge are
// dropped: the client has a link of its own.
func (s *Session) note(kind, text string) {
	if s.st.alone == "" {
		s.push(Note{kind, text})
	}
}

// sendIP sends one IP packet of our own to the client.
func (s *Session) sendIP(b []byte) { s.push(Send{Frame(b)}) }

// Frame is the PPP frame of an IP packet.
func Frame(ip []byte) []byte {
	protocol := byte(0x21) // RFC 1332, section 2
	if ip[0]>>4 == 6 {
		protocol = 0x57 // RFC 5072, section 2
	}
	return append([]byte{0xff, 0x03, 0, protocol}, ip...)
}
