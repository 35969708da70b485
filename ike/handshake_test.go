package ike

import (
	"testing"
)

func TestMainModeAndQuickMode(t *testing.T) {
	p := newPair(t).establish()
	peer := p.server.sa.Peer()
	if peer.PSK != "main" || !peer.Encap || !peer.BehindNA || peer.NATT != NATTRFC3947 || !peer.DPD {
		t.Errorf("the server knows of its peer: %+v", peer)
	}
	c, s := p.quick(p.client, ChildRequest{LocalPort: 40000})
	sameChild(t, c, s)
	if s.LocalPort != 1701 || s.PeerPort != 40000 || !s.Encap {
		t.Errorf("child of the server: %+v", s)
	}
}
