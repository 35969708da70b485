package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// untilHangup ends ctx when the terminal that in is goes away, as it does with its
// window or with an SSH session: otherwise somebody who tries the server there would
// leave one running that nobody sees. The same signal from elsewhere means a reload, and
// does not end it; nor does a hang-up that is ignored, as under nohup.
func untilHangup(ctx context.Context, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if !isTerminal(in) || signal.Ignored(syscall.SIGHUP) {
		return ctx, cancel
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangup)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
				if !isTerminal(in) {
					cancel()
					return
				}
			}
		}
	}()
	return ctx, cancel
}
