package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"sync"
)

// Run carries packets until ctx ends or a socket or the device fails, and then
// closes the sockets and the device. It returns what failed, nil if nothing
// did. It may be called once.
func (p *Plane) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(p.workers))
	var wg sync.WaitGroup
	for _, w := range p.workers {
		wg.Go(func() {
			defer cancel()
			if err := w.run(); !errors.Is(err, net.ErrClosed) {
				failed <- fmt.Errorf("dataplane: %w", err)
			}
		})
	}
	<-ctx.Done()
	p.close()
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func (p *Plane) close() {
	for _, sockets := range p.cfg.Workers {
		for _, s := range sockets {
			_ = s.Conn.Close() // they are closed to end the workers: no more to say
		}
	}
	_ = p.cfg.Device.Close()
	p.mu.Lock()
	p.closed = true
	ports := slices.Clone(p.ports)
	p.mu.Unlock()
	var all sync.WaitGroup
	for part := range slices.Chunk(ports, len(ports)/closersOfPorts+1) {
		all.Go(func() {
			for _, t := range part {
				_ = t.Close()
			}
		})
	}
	all.Wait()
}

// closersOfPorts close ports beside each other: the kernel waits some 20 ms for each device.
const closersOfPorts = 32

// panicked counts what a worker recovered from, and the batch that it lost.
func (p *Plane) panicked(t *tally, value any, lost int) {
	t.panics.Add(1)
	t.drop(DropPanic, lost)
	if p.cfg.Panicked != nil {
		p.cfg.Panicked(value, debug.Stack())
	}
}
