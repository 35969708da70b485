package ppp

import (
	"bytes"
	"encoding/binary"
	"time"
)

// proofState is a running check whether the peer receives what we send.
type proofState struct {
	data  []byte // the data that the peer has to return; nil: no check is running
	tries int
	timer time.Time
}

// How often the check is repeated, and at what interval.
const (
	proofPeriod = 2 * time.Second
	proofTries  = 5
	proofLen    = 16
)

// Prove asks the peer to return random data in an Echo-Reply (RFC 1661, section 5.8), and
// repeats the request until it does. Proved says that it did: our packets now reach the
// peer, since it cannot have guessed the data. A later call starts a new check, and
// answers to earlier ones no longer count.
func (l *Link) Prove(now time.Time) {
	l.s.proof = proofState{}
	if l.s.lcp.automaton.state != opened {
		return
	}
	data := make([]byte, proofLen)
	if l.random(data) != nil {
		return
	}
	l.s.proof = proofState{data: data}
	l.askProof(now)
}

func (l *Link) askProof(now time.Time) {
	p := &l.s.proof
	p.tries++
	p.timer = now.Add(proofPeriod)
	l.s.echo.counter++
	l.send(ProtocolLCP, codeEchoRequest, l.s.echo.counter, append(binary.BigEndian.AppendUint32(nil, l.echoMagic()), p.data...))
}

func (l *Link) handleProofTimer(now time.Time) {
	p := &l.s.proof
	if !due(now, p.timer) {
		return
	}
	if p.tries >= proofTries || l.s.lcp.automaton.state != opened {
		l.s.proof = proofState{}
		return
	}
	l.askProof(now)
}

// checkProof checks the data of an Echo-Reply.
func (l *Link) checkProof(data []byte) {
	if want := l.s.proof.data; want != nil && bytes.Equal(data, want) {
		l.s.proof = proofState{}
		l.emit(Proved{})
	}
}
