package persona

import (
	"errors"
	"fmt"
	"time"
)

var errStopped = errors.New("the client was switched off")

// Refusal is a rule of the client that the server has broken.
type Refusal struct{ Rule string }

func (r *Refusal) Error() string { return r.Rule }

// GaveUp says that a request got no answer.
type GaveUp struct {
	What string

	// Copies are the datagrams that carried the request. Answers reports whether a
	// datagram from the server is an answer to it.
	Copies  [][]byte
	Answers func(datagram []byte) bool

	// Pieces are the fragments of copies that were sent in fragments instead.
	Pieces [][][]byte
}

func (g *GaveUp) Error() string {
	return fmt.Sprintf("no answer to %s after %d attempts", g.What, len(g.Copies))
}

// Ended is how the server, or the client itself, ended a connection.
type Ended struct{ Why string }

func (e *Ended) Error() string { return e.Why }

// refuse gives up because the server broke a rule.
func (c *Client) refuse(format string, args ...any) {
	panic(&Refusal{c.Name + ": " + fmt.Sprintf(format, args...)})
}

// over records that there is no connection any more.
func (c *Client) over(format string, args ...any) {
	e := &Ended{fmt.Sprintf(format, args...)}
	c.logf("%s", e.Why)
	if c.end == nil {
		c.end = e
	}
}

// guard runs f and returns the reason if f gave up.
func (c *Client) guard(f func()) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *Refusal:
			c.logf("refused: %v", v)
			c.fail(v.Rule)
			err = v
		case *GaveUp:
			c.logf("%v", v)
			err = v
		case error:
			if !errors.Is(v, errStopped) && !errors.As(v, new(*Ended)) {
				panic(v)
			}
			err = v
		default:
			panic(v)
		}
	}()
	f()
	return nil
}

// ask sends a request, and repeats it after each wait until it is answered.
func (c *Client) ask(what string, retry []time.Duration, answers func([]byte) bool, send func() []byte, answered func() bool) {
	g := &GaveUp{What: what, Answers: answers}
	c.logf("> %s", what)
	for _, wait := range retry {
		copied := send()
		g.Copies = append(g.Copies, copied)
		if list := c.pieces[string(copied)]; list != nil {
			g.Pieces = append(g.Pieces, list)
		}
		if c.wait(wait, answered) {
			return
		}
	}
	panic(g)
}
