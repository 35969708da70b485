package halfopen

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"io"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/gate"
)

// Config is what a Greeter uses.
type Config struct {
	Policy      func() *ike.Policy // the policy in force
	Rand        io.Reader
	Gate        *gate.Gate
	Send        func(ike.Path, []byte) // if it cannot be sent it is lost, like any datagram
	Connections Connections
	Observer    Observer

	Records int // the most embryos
	Bytes   int // the most bytes that embryos may cost
}

// Connections are the connections that handshakes lead to. The methods are called on any
// goroutine, and must not block.
type Connections interface {
	// Routed says to which connection messages with these cookies lead; ok is false if
	// there is none.
	Routed(ike.Cookies) (to Route, ok bool)
	// Pass delivers a message to the connection that its cookies lead to, and reports
	// whether there is one.
	Pass(ike.Cookies, ike.Path, []byte) bool
	// Begin makes a connection from a handshake.
	Begin(time.Time, Handshake)
}

// Route is what a Greeter needs to know about a connection.
type Route struct {
	Began      time.Time // when message 3 came
	Negotiates bool      // it has not had any ESP SAs yet
}

// Handshake is what a connection is made from.
type Handshake struct {
	Embryo ike.Embryo
	First  []byte // message 1, for Learn
	Path   ike.Path
	Third  []byte // message 3, or its first fragment
}

// Observer is told about messages that lead to no connection. The methods are called on
// the goroutines that decide, and must not block.
type Observer interface {
	// Dropped says that a message was dropped, and why.
	Dropped(from ike.Path, why error)
	// Refused says that a first message got no embryo, and why.
	Refused(from ike.Path, why error)
	// GroupUnknown says that a client asked, in Aggressive Mode, for a group that has no
	// pre-shared key. It was answered all the same, with a key that nobody has.
	GroupUnknown(from ike.Path, client ike.ClientKind, group string)
	// Unanswered says that no message 3 came after an answer of Aggressive Mode.
	Unanswered(from ike.Path, client ike.ClientKind)
	// Panicked says that a message was dropped because handling it panicked.
	Panicked(from ike.Path, value any, stack []byte)
}

// Greeter answers first messages. It has their queues, the known first messages, the keys
// of its cookies, and the embryos.
type Greeter struct {
	cfg Config

	first  chan firstMessage
	second chan firstMessage // from likely clients: a known first message, or a repeated one
	third  chan firstMessage // with a cookie of ours, so that the source is not forged
	again  *again
	offers offers       // first messages that led to a user
	live   atomic.Int64 // embryos, for the gauges

	minter  cipher.Block  // hashes our cookies
	numbers cipher.Block  // derives the numbers of cookies for known first messages
	minting atomic.Uint32 // counts the numbers of other cookies
	decoy   [32]byte      // derives the keys of groups that do not exist

	half *embryos   // belongs to Run's goroutine
	slow *computing // so does this
}

// firstMessage is an ISAKMP message that belongs to no connection.
type firstMessage struct {
	path ike.Path
	data []byte
}

const queueSize = 512

// New returns a Greeter, which must be started with Run.
func New(cfg Config) *Greeter {
	g := &Greeter{
		cfg:    cfg,
		first:  make(chan firstMessage, queueSize),
		second: make(chan firstMessage, queueSize),
		third:  make(chan firstMessage, queueSize),
		again:  newAgain(),
		slow:   newComputing(),
	}
	g.half = newEmbryos(cfg.Records, cfg.Bytes, g.unanswered)
	first := make([]byte, 4) // where the numbers of our cookies begin
	var minter, numbers [16]byte
	for _, key := range [][]byte{minter[:], numbers[:], g.decoy[:], first} {
		if _, err := io.ReadFull(cfg.Rand, key); err != nil {
			panic(err) // without randomness nothing here is safe
		}
	}
	g.minter, _ = aes.NewCipher(minter[:]) // a key of 16 bytes is always valid
	g.numbers, _ = aes.NewCipher(numbers[:])
	g.minting.Store(binary.BigEndian.Uint32(first))
	return g
}

// Receive handles a message whose cookies lead to no connection. It appends the answer to
// a known first message to reply, and queues every other message for Run.
func (g *Greeter) Receive(reply []byte, now time.Time, path ike.Path, c ike.Cookies, msg []byte) []byte {
	queue := g.first
	if c.Responder != ([8]byte{}) {
		if !g.minted(path, c, now) {
			g.drop(path, ErrUnknownSA)
			return reply // unknown cookies get no answer and no place in the queue
		}
		queue = g.third
	} else if reply, ok := g.answerKnown(reply, now, path, msg); ok {
		return reply
	}
	if len(queue) == cap(queue) && g.again.seen(now, path, c.Initiator) {
		queue = g.second
	}
	if len(queue) == cap(queue) {
		g.drop(path, ErrBusy) // Run is behind: the peer will repeat the message
		return reply
	}
	select {
	case queue <- firstMessage{path, append([]byte(nil), msg...)}:
	default:
		g.drop(path, ErrBusy)
	}
	return reply
}

// Learn remembers a first message that led to a user. A message longer than MaxLearnt is
// not kept.
func (g *Greeter) Learn(first []byte) { g.offers.learn(first) }

// Live is the number of first messages that await their third message.
func (g *Greeter) Live() int { return int(g.live.Load()) }
