package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// runDepot is a web server that sends endless data, and accepts any amount.
func runDepot(ctx context.Context, o options) error {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", o.target)
	if err != nil {
		return err
	}
	server := http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			_, _ = io.Copy(io.Discard, r.Body) // the sender decides when it ends
			return
		}
		for b := make([]byte, chunk); ; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	})}
	go func() { _ = server.Serve(l) }() // it ends with the process
	return serve(ctx, func([]string) (any, error) { return "ready", nil })
}
