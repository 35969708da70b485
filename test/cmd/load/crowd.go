package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/test/client"
)

// dialled is the answer to "dial".
type dialled struct {
	Up, Failed int
	Start, End int64 // Unix nanoseconds
}

// crowd is many clients.
type crowd struct {
	options
	fleet *client.Fleet
	next  netip.Addr

	mu sync.Mutex
	up []*client.Dialled
}

// runCrowd accepts "dial N PARALLEL" and "close", which ends all clients that are
// up.
func runCrowd(ctx context.Context, o options) error {
	fleet, err := o.fleet(netdevtest.New("crowd", 1400, 1))
	if err != nil {
		return err
	}
	c := &crowd{options: o, fleet: fleet, next: o.first}
	return serve(ctx, func(words []string) (any, error) {
		switch {
		case len(words) == 3 && words[0] == "dial":
			n, err := strconv.Atoi(words[1])
			parallel, err2 := strconv.Atoi(words[2])
			if err := errors.Join(err, err2); err != nil {
				return nil, err
			}
			return c.dial(ctx, n, parallel), nil
		case len(words) == 1 && words[0] == "close":
			return c.close(), nil
		default:
			return nil, errors.New("no such command")
		}
	})
}

// dial connects n more clients, that many in parallel.
func (c *crowd) dial(ctx context.Context, n, parallel int) dialled {
	from := make(chan netip.Addr)
	go func() {
		defer close(from)
		for range n {
			from <- c.next
			c.next = c.next.Next()
		}
	}()
	r := dialled{Start: time.Now().UnixNano()}
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for a := range from {
				d, err := c.one(ctx, a)
				c.mu.Lock()
				if err != nil {
					if r.Failed++; r.Failed == 1 {
						fmt.Fprintln(os.Stderr, "load:", err)
					}
				} else {
					r.Up++
					c.up = append(c.up, d)
				}
				c.mu.Unlock()
			}
		})
	}
	wg.Wait()
	r.End = time.Now().UnixNano()
	return r
}

func (c *crowd) one(ctx context.Context, from netip.Addr) (*client.Dialled, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return c.fleet.Dial(ctx, c.options.dial(from))
}

// close closes all connections properly, and waits.
func (c *crowd) close() dialled {
	r := dialled{Start: time.Now().UnixNano()}
	var wg sync.WaitGroup
	for _, d := range c.up {
		wg.Go(d.Close)
	}
	wg.Wait()
	c.up = nil
	r.End = time.Now().UnixNano()
	return r
}
