package admin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type fake struct {
	got    Selector
	order  LinkOrder
	reload error
}

func (f *fake) Status() Status {
	return Status{Version: "1", Sessions: []Session{{User: "alice", InOctets: 1 << 40}}}
}
func (f *fake) Disconnect(s Selector) int { f.got = s; return 2 }
func (f *fake) Links() []Link             { return []Link{{Name: "branch", State: "up"}} }
func (f *fake) OrderLink(o LinkOrder) error {
	f.order = o
	if o.Name != "branch" {
		return errors.New("there is no such link")
	}
	return nil
}
func (f *fake) Reload() (Reloaded, error) {
	return Reloaded{Live: []string{"user"}}, f.reload
}

func TestControlSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adit.sock")
	f := &fake{}
	s, err := Listen(path, f)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	ctx := context.Background()
	c := NewClient(path)
	if st, err := c.Status(ctx); err != nil || st.Sessions[0].User != "alice" || st.Sessions[0].InOctets != 1<<40 {
		t.Errorf("Status = %+v, %v", st, err)
	}
	if n, err := c.Disconnect(ctx, Selector{User: "alice"}); err != nil || n != 2 || f.got.User != "alice" {
		t.Errorf("Disconnect = %d, %v, %+v", n, err, f.got)
	}
	if _, err := c.Disconnect(ctx, Selector{}); err == nil || !strings.Contains(err.Error(), "whom") {
		t.Errorf("an empty selector: %v", err)
	}
	if list, err := c.Links(ctx); err != nil || len(list) != 1 || list[0].Name != "branch" {
		t.Errorf("Links = %+v, %v", list, err)
	}
	if err := c.OrderLink(ctx, LinkOrder{"branch", true}); err != nil || f.order != (LinkOrder{"branch", true}) {
		t.Errorf("OrderLink: %v, %+v", err, f.order)
	}
	if err := c.OrderLink(ctx, LinkOrder{"x", false}); err == nil || err.Error() != "there is no such link" {
		t.Errorf("an order for no link: %v", err)
	}
	f.reload = errors.New("adit.toml:3: bad")
	if _, err := c.Reload(ctx); err == nil || err.Error() != "adit.toml:3: bad" {
		t.Errorf("a failed reload: %v", err)
	}
	if _, err := Listen(path, f); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second server on one socket: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Status(ctx); err == nil || !strings.Contains(err.Error(), "no server runs here") {
		t.Errorf("without a server: %v", err)
	}
}
