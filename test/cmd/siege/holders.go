package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// many makes n holders attack in parallel, from that many sources. Each one begins
// again whenever it has finished; together they begin at most rate times a second.
func many(n, sources int, rate float64, do func(context.Context, *holder) error) attack {
	return func(ctx context.Context, a *arsenal) error {
		s, err := a.open(false, nil)
		if err != nil {
			return err
		}
		p := newPace(rate)
		var mu sync.Mutex
		var work sync.WaitGroup
		for i := range n {
			work.Go(func() {
				for ctx.Err() == nil {
					mu.Lock()
					p.spend(1)
					mu.Unlock()
					h := s.holder(a.these(i % sources))
					_ = do(ctx, h) // after an error it begins again
					h.forget()
				}
			})
		}
		<-ctx.Done() // holders that wait for an answer end with the process
		return nil
	}
}

// quickModes begin Quick Modes with perfect forward secrecy all the time.
func quickModes(group int, rate float64) attack {
	ke := public(group)
	return many(16, 16, 100, func(ctx context.Context, h *holder) error {
		if err := h.phase1(); err != nil {
			return err
		}
		for p := newPace(rate / 16); ctx.Err() == nil; p.spend(1) {
			if err := h.quick(group, ke); err != nil {
				return err
			}
		}
		return nil
	})
}

// visit connects and disconnects.
func visit(_ context.Context, h *holder) error {
	if err := h.phase1(); err != nil {
		return err
	}
	h.goodbye()
	return nil
}

// hoard keeps a tunnel without a user for as long as it can.
func hoard(ctx context.Context, h *holder) error {
	if err := h.secure(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := h.open(); err != nil {
			return err
		}
		for until := time.Now().Add(15 * time.Second); time.Now().Before(until) && ctx.Err() == nil; {
			if _, _, _, ok := h.hear(time.Second); ok {
				h.control(0, wire.ZLB)
			}
		}
		h.end()
	}
	return nil
}

// guess tries passwords, one in each session, on a tunnel for as long as it lasts.
func guess(ctx context.Context, h *holder) error {
	if err := h.secure(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := h.open(); err != nil {
			return err
		}
		for i := 0; ctx.Err() == nil; i++ {
			if err := h.call(); err != nil {
				break
			}
			if _, told := h.login(user, fmt.Sprintf("guess %d", i)); !told {
				break
			}
			h.control(h.session, wire.CDN, wire.M(1, 0, 3, 0, 0), wire.M(14, wire.U16(1)...))
		}
		h.end()
	}
	return nil
}

// again is a user who authenticates again and again.
func again(ctx context.Context, h *holder) error {
	if err := h.secure(); err != nil {
		return err
	}
	if err := h.open(); err != nil {
		return err
	}
	if err := h.call(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if accepted, _ := h.login(user, password); !accepted {
			return errSilent
		}
	}
	return nil
}

// wrongKey fails at phase 1 as fast as it can.
func wrongKey(_ context.Context, h *holder) error {
	m5, _, err := h.prove("not the key of this siege")
	if err == nil {
		h.s.send(h.local, 4500, append(make([]byte, 4), m5...))
	}
	return err
}

// shout fails at everything after phase 1: unacceptable offers in Quick Mode,
// tunnels, malformed messages, links.
func shout(ctx context.Context, h *holder) error {
	if err := h.secure(); err != nil {
		return err
	}
	for i := 0; i < 200 && ctx.Err() == nil; i++ {
		h.unwanted()
		b, _ := h.seal(wire.Informational, uint32(i+1), wire.Payload{Type: wire.PayloadNotify, Body: []byte{0, 0, 0, 1, 1, 0, 0, 14}})
		h.s.send(h.local, 4500, append(make([]byte, 4), b...))
		h.l2tp([]byte{0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3})
		if h.open() == nil {
			if h.call() == nil {
				h.login("nobody", "nothing")
			}
			h.end()
		}
	}
	return nil
}

// holderRows are the attacks for which the attacker needs the key.
func holderRows() []row {
	thousand := "[limits]\nconnections = 1000\n"
	return []row{
		{name: "key: 200 Quick Modes a second with PFS, MODP 4096", attack: quickModes(16, 200)},
		{name: "key: 1,000 Quick Modes a second with PFS, MODP 2048", attack: quickModes(14, 1000)},
		{name: "key: coming and going, 25 a second, of 300 places", attack: many(25, 25, 25, visit), config: "[limits]\nconnections = 300\n"},
		{name: "key: coming and going as fast as it goes, of 1,000 places", attack: many(64, 64, 0, visit), config: thousand},
		{name: "key: hoarding, one source", attack: many(2000, 1, 200, hoard), config: thousand},
		{name: "key: hoarding, 64 sources", attack: many(2000, 64, 200, hoard), config: thousand},
		{name: "key: hoarding, at the honest clients' address", attack: many(2000, 1, 200, hoard), own: true, beside: true, config: thousand},
		{name: "key: guessing passwords", attack: many(64, 8, 0, guess)},
		{name: "key: guessing passwords at the honest clients' address", attack: many(64, 1, 0, guess), own: true, beside: true},
		{name: "key: log flood, wrong keys", attack: many(64, 64, 0, wrongKey)},
		{name: "key: log flood, everything behind phase 1", attack: many(64, 64, 0, shout)},
		{name: "user: authenticating again and again", attack: many(4, 4, 0, again), user: true},
	}
}
