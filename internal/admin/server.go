package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// requestLimit bounds a request's body, bytes.
const requestLimit = 64 << 10

// Server serves the control socket until Close.
type Server struct {
	http *http.Server
	path string
	done chan struct{}
}

// Listen opens the control socket, for this user alone, and serves c on it.
// A socket that a dead server left is replaced; one that answers is an error.
func Listen(path string, c Controlled) (*Server, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("the control socket %s is in use: another adit runs; set admin.socket to another path", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	old := unix.Umask(0o177) // before anybody can connect
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	s := &Server{path: path, done: make(chan struct{})}
	s.http = &http.Server{Handler: handler(c), ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(peerChecked{l}) // ends with ErrServerClosed
	}()
	return s, nil
}

// Close stops serving and removes the socket.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	<-s.done
	return err
}

// peerChecked admits root and the server's own user only, whatever the
// socket's mode has become.
type peerChecked struct{ net.Listener }

func (l peerChecked) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := peerUID(conn); err == nil && (uid == 0 || uid == uint32(os.Geteuid())) {
			return conn, nil
		}
		conn.Close()
	}
}

func peerUID(conn net.Conn) (uint32, error) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Uid, nil
}

func handler(c Controlled) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, c.Status())
	})
	mux.HandleFunc("POST /v1/disconnect", func(w http.ResponseWriter, r *http.Request) {
		var sel Selector
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, requestLimit))
		d.DisallowUnknownFields()
		if err := d.Decode(&sel); err != nil {
			reply(w, http.StatusBadRequest, problem{"bad request: " + err.Error()})
			return
		}
		if sel == (Selector{}) {
			reply(w, http.StatusBadRequest, problem{"say whom to disconnect: a user, an address, a connection, or all"})
			return
		}
		reply(w, http.StatusOK, Disconnected{c.Disconnect(sel)})
	})
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, _ *http.Request) {
		report, err := c.Reload()
		if err != nil {
			reply(w, http.StatusUnprocessableEntity, problem{err.Error()})
			return
		}
		reply(w, http.StatusOK, report)
	})
	mux.HandleFunc("GET /v1/links", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, Links{c.Links()})
	})
	mux.HandleFunc("POST /v1/link", func(w http.ResponseWriter, r *http.Request) {
		var o LinkOrder
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, requestLimit))
		d.DisallowUnknownFields()
		if err := d.Decode(&o); err != nil {
			reply(w, http.StatusBadRequest, problem{"bad request: " + err.Error()})
			return
		}
		if err := c.OrderLink(o); err != nil {
			reply(w, http.StatusUnprocessableEntity, problem{err.Error()})
			return
		}
		reply(w, http.StatusOK, o)
	})
	return mux
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a client that left needs no answer
}
