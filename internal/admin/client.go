package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// Client talks to a server's control socket.
type Client struct {
	path string
	http *http.Client
}

// NewClient returns a client of the socket at path.
func NewClient(path string) *Client {
	var d net.Dialer
	return &Client{path, &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", path)
		}},
	}}
}

// Status returns the server's state.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Disconnect ends the sessions that match and returns how many connections.
func (c *Client) Disconnect(ctx context.Context, sel Selector) (int, error) {
	var d Disconnected
	return d.Connections, c.call(ctx, http.MethodPost, "/v1/disconnect", sel, &d)
}

// Reload makes the server read its configuration again.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	var r Reloaded
	return r, c.call(ctx, http.MethodPost, "/v1/reload", nil, &r)
}

// Links returns the server's links.
func (c *Client) Links(ctx context.Context) ([]Link, error) {
	var l Links
	err := c.call(ctx, http.MethodGet, "/v1/links", nil, &l)
	return l.Links, err
}

// OrderLink has a link come up, or go down and stay down.
func (c *Client) OrderLink(ctx context.Context, o LinkOrder) error {
	return c.call(ctx, http.MethodPost, "/v1/link", o, &o)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://adit"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var p problem
		if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || p.Error == "" {
			return fmt.Errorf("the server answered %s", resp.Status)
		}
		return errors.New(p.Error)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return noServer{fmt.Errorf("no server runs here: there is no control socket %s (another path: --socket)", c.path)}
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("the control socket %s may be used by root and the server's own user only", c.path)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return noServer{fmt.Errorf("no server answers on %s: %w", c.path, op.Err)}
	}
	return err
}

// ErrNoServer is wrapped by the errors of calls that reach no server.
var ErrNoServer = errors.New("no server answers")

// noServer is an ErrNoServer with words of its own.
type noServer struct{ error }

func (e noServer) Is(target error) bool { return target == ErrNoServer }
func (e noServer) Unwrap() error        { return e.error }
