package vpn

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/machine"
)

// mailbox is what other goroutines send to a connection's goroutine. Any goroutine may
// use it. An empty one holds next to no memory: most connections are idle.
type mailbox struct {
	waits  chan struct{}                  // says that something waits; it has room to say so once
	mail   sync.Mutex                     // guards inbox and orders
	inbox  machine.Queue[dataplane.Note]  // packets and notes; dropped when there are inboxSize
	orders machine.Queue[func(time.Time)] // functions to run, such as verdicts and disconnects; never lost
	queued atomic.Int64                   // bytes of the notes in inbox
	kept   atomic.Int64                   // bytes of messages that it and its ISAKMP SA keep, before message 5
	done   chan struct{}                  // closed when the goroutine has ended
	gone   chan struct{}                  // closed when the connection makes room for another
}

const (
	inboxSize = 32
	// inboxBytes bounds the bytes that wait in the inbox. Packets of 1500 bytes are
	// bounded by their number alone, but only a few of IKE's largest messages fit.
	// Anybody can cause connections that wait for processor time.
	inboxBytes = 3 * maxIKEMessage
)

func (m *mailbox) open() {
	m.waits = make(chan struct{}, 1)
	m.done = make(chan struct{})
	m.gone = make(chan struct{})
}

// Deliver implements dataplane.Inbox. It copies the note's data.
func (c *Conn) Deliver(n dataplane.Note) bool {
	if size := int64(len(n.Data)); size > 0 {
		if queued := c.queued.Add(size); queued > inboxBytes || !c.holding.hold(int(queued+c.kept.Load())) {
			c.queued.Add(-size)
			return false
		}
		n.Data = append([]byte(nil), n.Data...)
	}
	if !c.post(n) {
		c.queued.Add(-int64(len(n.Data)))
		return false
	}
	return true
}

// post puts a note into the inbox, if it has room.
func (m *mailbox) post(n dataplane.Note) bool {
	m.mail.Lock()
	defer m.mail.Unlock()
	if m.inbox.Len() >= inboxSize {
		return false
	}
	m.inbox.Push(n)
	m.wake()
	return true
}

// do runs f on the connection's goroutine, unless the connection has ended. It does not
// wait for that.
func (m *mailbox) do(f func(time.Time)) {
	m.mail.Lock()
	defer m.mail.Unlock()
	m.orders.Push(f)
	m.wake()
}

// wake wakes the connection's goroutine.
func (m *mailbox) wake() {
	select {
	case m.waits <- struct{}{}:
	default:
	}
}

// takeOrder takes the oldest order.
func (m *mailbox) takeOrder() (func(time.Time), bool) {
	m.mail.Lock()
	defer m.mail.Unlock()
	return m.orders.Pop()
}

// takeNote takes the oldest note.
func (m *mailbox) takeNote() (dataplane.Note, bool) {
	m.mail.Lock()
	defer m.mail.Unlock()
	n, ok := m.inbox.Pop()
	m.queued.Add(-int64(len(n.Data)))
	return n, ok
}

// wakeAgain wakes the connection's goroutine if more waits. The goroutine handles one
// thing at a time, and looks at its timer in between.
func (m *mailbox) wakeAgain() {
	m.mail.Lock()
	defer m.mail.Unlock()
	if m.inbox.Len() > 0 || m.orders.Len() > 0 {
		m.wake()
	}
}
