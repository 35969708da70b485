package eap

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// wire is what a TLS connection reads and writes when its records travel in packets of EAP: a
// flight each way in turn. The handshake runs on a goroutine of its own, which ends with it,
// and after handshakeTime in any case.
type wire struct {
	conn  *tls.Conn
	asks  chan struct{} // the connection has written what it can, and reads
	in    chan []byte   // what it gets then
	ended chan error    // the handshake is over
	gone  chan struct{}
	leave func() // closes gone

	asked bool   // the peer's: asks has been received
	rest  []byte // the connection's: of a flight that it has not read whole

	mu  sync.Mutex
	out []byte
}

// errLeft says that the peer has left, or takes too long.
var errLeft = errors.New("the peer has left, or takes too long")

// errPanic says that a handshake ends by an error of the program.
var errPanic = errors.New("the handshake of EAP-TLS ends by an error in the server")

// serve begins the handshake of a server. over is called when it has ended.
func serve(c *tls.Config, over func()) *wire {
	w := &wire{asks: make(chan struct{}), in: make(chan []byte), ended: make(chan error, 1), gone: make(chan struct{})}
	w.leave = sync.OnceFunc(func() { close(w.gone) })
	w.conn = tls.Server(w, c)
	timer := time.AfterFunc(handshakeTime, w.leave)
	go func() {
		defer over()
		defer timer.Stop()
		w.ended <- w.handshake()
	}()
	return w
}

// handshake is the handshake to its end. A panic in it, as over a certificate that nobody has
// foreseen, ends this exchange alone.
func (w *wire) handshake() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errPanic, v)
		}
	}()
	err = w.conn.Handshake()
	if err == nil && w.conn.ConnectionState().Version == tls.VersionTLS13 {
		// RFC 9190, section 2.5: a byte of application data says that no more messages of
		// the handshake follow.
		_, err = w.conn.Write([]byte{0})
	}
	return err
}

// left reports whether the handshake has lost its place, or taken too long.
func (w *wire) left() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

// feed gives the connection the peer's flight, and returns ours. over says that the handshake
// has ended, and err why it failed.
func (w *wire) feed(flight []byte) (answer []byte, over bool, err error) {
	if !w.asked {
		if over, err = w.await(); over {
			return w.written(), true, err
		}
	}
	w.asked = false
	select {
	case w.in <- flight:
		over, err = w.await()
	case <-w.gone:
		over, err = true, errLeft
	}
	return w.written(), over, err
}

// await waits until the connection wants more, or is done.
func (w *wire) await() (over bool, err error) {
	select {
	case <-w.asks:
		w.asked = true
		return false, nil
	case err = <-w.ended:
		return true, err
	}
}

// written is what the connection has written since it was asked last.
func (w *wire) written() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.out
	w.out = nil
	return b
}

// Read implements net.Conn.
func (w *wire) Read(b []byte) (int, error) {
	if len(w.rest) == 0 {
		select {
		case w.asks <- struct{}{}:
		case <-w.gone:
			return 0, errLeft
		}
		select {
		case w.rest = <-w.in:
		case <-w.gone:
			return 0, errLeft
		}
	}
	n := copy(b, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// Write implements net.Conn.
func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = append(w.out, b...)
	return len(b), nil
}

// Close implements net.Conn.
func (w *wire) Close() error {
	w.leave()
	return nil
}

// LocalAddr implements net.Conn: there is none.
func (w *wire) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn: there is none.
func (w *wire) RemoteAddr() net.Addr { return nil }

// SetDeadline implements net.Conn, which has none.
func (w *wire) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline implements net.Conn, which has none.
func (w *wire) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline implements net.Conn, which has none.
func (w *wire) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
