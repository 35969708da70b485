package app

import (
	"context"
	"os"
	"runtime"
	"time"
)

// A flood keeps goroutines busy that read port 500, answer first messages and compute
// key exchanges. The Go runtime lets each of them go on for up to ten milliseconds, in
// which every packet of a user waits. So during a flood it runs some threads more
// than there are processors: then the kernel divides time between these and the data
// path, and wakes the data path at once. So many threads make everything else some
// percent more expensive, so they run only during a flood.

// floodLook is how often the server looks for floods.
const floodLook = 250 * time.Millisecond

// feelFloods makes the runtime run more threads during floods, until stop. GOMAXPROCS in
// the environment is taken as it is.
func (a *instance) feelFloods(ctx context.Context) (stop func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	return a.background(ctx, func(ctx context.Context) {
		var f flood
		on := false
		for tick := time.NewTicker(floodLook); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case now := <-tick.C:
				if f.look(now, a.traffic()) == on {
					continue
				}
				if on = !on; on {
					n := runtime.GOMAXPROCS(0)
					runtime.GOMAXPROCS(n + min(n, 4) + 2)
				} else {
					runtime.SetDefaultGOMAXPROCS() // as many as there are now
				}
			}
		}
	})
}

// traffic is what came to the server's ports except users' packets, and how many users
// explain it.
type traffic struct {
	messages uint64 // of IKE, keepalives, and what was dropped, since the start
	users    uint64 // that connected, since the start
	peers    int    // that are connected

	spent time.Duration // by key exchanges of peers without a user, since the start
}

func (a *instance) traffic() traffic {
	st, n := a.plane.Stats(), a.server.Counts()
	t := traffic{messages: st.IKE + st.Keepalives, users: a.meter.users.Load(), peers: n.Connections - n.Strangers, spent: a.server.Spent()}
	for _, dropped := range a.plane.Drops() {
		t.messages += dropped
	}
	return t
}

const (
	// A user explains this many messages by connecting, and then one each second.
	connectMessages = 20
	// floodRate is how many unexplained messages a second are a flood: 200 handshakes a
	// second that lead to nothing are one.
	floodRate = 400
	// A user explains this much processor time for the key exchanges of connecting, in the
	// dearest group. More unexplained time than floodShare of one processor is a flood.
	connectTime = 25 * time.Millisecond
	floodShare  = 0.2
	// floodOver is for how long there must be none before a flood is over.
	floodOver = 30 * time.Second
)

// flood tells floods from traffic.
type flood struct {
	at   time.Time
	last traffic
	felt time.Time // when there was one last; zero: there is none
}

// look reports whether there is a flood, by what has come since the last call.
func (f *flood) look(now time.Time, t traffic) bool {
	since := now.Sub(f.at).Seconds()
	came := float64(t.messages - f.last.messages)
	explained := connectMessages*float64(t.users-f.last.users) + float64(t.peers)*since
	spent := (t.spent - f.last.spent).Seconds() - connectTime.Seconds()*float64(t.users-f.last.users)
	if !f.at.IsZero() && (came-explained > floodRate*since || spent > floodShare*since) {
		f.felt = now
	}
	f.at, f.last = now, t
	if now.Sub(f.felt) >= floodOver {
		f.felt = time.Time{}
	}
	return !f.felt.IsZero()
}
