package app

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/secret"
)

// others has another valid value for every key whose tag is "restart", and what
// else that needs.
var others = map[string]settingsOf{
	"pool":                        {"pool": `[{ name = "staff", addresses = ["10.98.0.0/24"] }]`},
	"tunnel":                      {"tunnel": `[{ name = "t", mode = "gre", remote = "192.0.2.7" }]`},
	"server.listen":               {"server.listen": `["192.0.2.9"]`},
	"server.state_dir":            {"server.state_dir": `"/nonexistent/state"`},
	"ipsec.nat_traversal":         {"ipsec.nat_traversal": `"auto"`},
	"ipsec.key_log":               {"ipsec.key_log": `"/nonexistent/keys"`},
	"network.mode":                {"network.mode": `"tap"`, "network.lan": `"192.168.1.0/24"`, "network.gateway": `"192.168.1.1"`, "network.bridge": `"br0"`, "network.pool": `["192.168.1.200-192.168.1.250"]`, "network.pool6": ""},
	"network.device":              {"network.device": `"adit7"`},
	"network.pool":                {"network.pool": `["10.99.0.0/24"]`},
	"network.masquerade":          {"network.masquerade": `false`},
	"network.bridge":              {"network.bridge": `"br0"`, "network.mode": `"tap"`, "network.lan": `"192.168.1.0/24"`, "network.pool": `["192.168.1.200-192.168.1.250"]`, "network.pool6": ""},
	"network.lan":                 {"network.lan": `"192.168.0.0/16"`, "network.mode": `"tap"`, "network.pool": `["192.168.1.200-192.168.1.250"]`, "network.pool6": ""},
	"network.gateway":             {"network.gateway": `"192.168.1.2"`, "network.mode": `"tap"`, "network.lan": `"192.168.1.0/24"`, "network.pool": `["192.168.1.200-192.168.1.250"]`, "network.pool6": ""},
	"network.pool6":               {"network.pool6": `["2001:db8:99::/64"]`},
	"network.delegate6":           {"network.delegate6": `"2001:db8:f000::/40"`},
	"network.delegate6_bits":      {"network.delegate6_bits": `60`, "network.delegate6": `"2001:db8:f000::/40"`},
	"network.masquerade6":         {"network.masquerade6": `true`},
	"network.client_to_client":    {"network.client_to_client": `false`},
	"network.multicast":           {"network.multicast": `true`},
	"auth.backend":                {"auth.backend": `"radius"`, "radius.servers": `[{ address = "192.0.2.200:1812", secret = "s" }]`},
	"limits.connections":          {"limits.connections": `1`},
	"limits.half_open":            {"limits.half_open": `1`},
	"limits.half_open_per_source": {"limits.half_open_per_source": `1`},
	"limits.stranger_memory":      {"limits.stranger_memory": `32`},
	"log.format":                  {"log.format": `"text"`},
	"admin.socket":                {"admin.socket": `"/nonexistent/adit.sock"`},
	"admin.metrics":               {"admin.metrics": `"127.0.0.1:9701"`},
}

// restartKeys are the keys whose tag is "restart".
func restartKeys(v reflect.Type, path string) (list []string) {
	for field := range v.Fields() {
		key := path + field.Tag.Get("toml")
		switch {
		case field.Tag.Get("reload") == "restart":
			list = append(list, key)
		case field.Tag.Get("reload") == "" && field.Type.Kind() == reflect.Struct:
			list = append(list, restartKeys(field.Type, key+".")...)
		}
	}
	return list
}

// A key that waits for a restart has no effect of any kind before one: what
// connections are allowed is the same, and the next client is served as the last
// one was.
func TestKeysThatWaitForARestartHaveNoEffectBefore(t *testing.T) {
	keys := restartKeys(reflect.TypeFor[conf.Config](), "")
	if len(keys) < 25 {
		t.Fatalf("only %d keys wait for a restart: %v", len(keys), keys)
	}
	together := settingsOf{}
	for _, key := range keys {
		changes, ok := others[key]
		if !ok {
			t.Errorf("%s has no other value here: add one", key)
		}
		if len(changes) == 0 {
			continue
		}
		if len(changes) == 1 {
			maps.Copy(together, changes)
		}
		t.Run(key, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { reloadsWithoutEffect(t, changes) })
		})
	}
	t.Run("many at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { reloadsWithoutEffect(t, together) })
	})
}

func reloadsWithoutEffect(t *testing.T, changes settingsOf) {
	h := startHost(t, nil)
	before := h.policy(t.Context(), h.config.Load())
	h.connect("alice")
	h.write(changes)
	r, err := h.Reload()
	if err != nil {
		t.Fatal(err)
	}
	for key := range changes {
		if key == "radius.servers" { // it applies at once, and nobody is asked
			r.Live = slices.DeleteFunc(r.Live, func(k string) bool { return k == key })
		} else if !slices.Contains(r.Restart, key) {
			t.Errorf("the report does not say that %s waits: %+v", key, r)
		}
	}
	if len(r.Live)+len(r.New) > 0 {
		t.Errorf("the report says that something applies: %+v", r)
	}
	if after := h.policy(t.Context(), h.config.Load()); !reflect.DeepEqual(before, after) {
		t.Errorf("connections are allowed something else:\n%+v\nbefore\n%+v", after, before)
	}
	own, server := h.connect("alice")
	if own != netip.MustParseAddr("10.83.0.3") || server != netip.MustParseAddr("10.83.0.1") {
		t.Errorf("the client is %v and the server %v", own, server)
	}
	c := h.config.Load()
	if !reflect.DeepEqual(plan(c, "adit0"), plan(h.opts.Config, "adit0")) || !slices.Equal(warnings(c), warnings(h.opts.Config)) {
		t.Error("what is said of the host, or warned of, is what waits")
	}
}

// The users of the state directory are those of the directory that is in use.
func TestUsersOfAnotherStateDirectoryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHost(t, nil)
		add := func(dir, name string) {
			if err := conf.EditUsers(filepath.Join(dir, conf.UsersFile), func(list []conf.User) ([]conf.User, error) {
				return append(list, conf.User{Name: name, Password: secret.String("p")}), nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		other := t.TempDir()
		add(h.config.Load().Server.StateDir, "bob")
		add(other, "mallory")
		h.write(settingsOf{"server.state_dir": fmt.Sprintf("%q", other)})
		if r, err := h.Reload(); err != nil || !slices.Equal(r.Restart, []string{"server.state_dir"}) || !slices.Equal(r.Live, []string{"user"}) {
			t.Errorf("%+v, %v", r, err)
		}
		h.connect("bob")
		var names []string
		for _, u := range h.config.Load().Users {
			names = append(names, u.Name)
		}
		if want := []string{"alice", "bob"}; !slices.Equal(names, want) {
			t.Errorf("users are %v, want %v", names, want)
		}
	})
}

// No user changes the password between when a reload reads the users and when they are in force.
func TestPasswordsDoNotChangeDuringAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHost(t, nil)
		held := false
		h.opts.Load = func() (*conf.Config, error) {
			go func() {
				defer h.local.Hold()()
				held = true
			}()
			synctest.Wait()
			if held {
				t.Error("one may change")
			}
			return h.read()
		}
		if _, err := h.Reload(); err != nil {
			t.Fatal(err)
		}
		if synctest.Wait(); !held {
			t.Error("none may change any more")
		}
	})
}

// A change that is valid only together with a key that waits is refused, and changes
// nothing.
func TestAReloadThatNeedsARestartIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		changes settingsOf
		want    string
	}{
		"an address that is the server's until then": {
			settingsOf{"network.pool": `["10.99.0.0/24"]`, "user": `[{ name = "alice", password = "p", address = "10.83.0.1" }]`}, "10.83.0.1 is the server's own",
		},
		"no users, as RADIUS has them": {
			settingsOf{"auth.backend": `"radius"`, "radius.servers": `[{ address = "192.0.2.200:1812", secret = "s" }]`, "user": ""}, "user: there is none",
		},
		"no NAT traversal where it is always": {
			settingsOf{"ipsec.nat_traversal": `"auto"`, "ipsec.vendor_ids": `["dpd"]`}, `must contain "nat-t"`,
		},
		"too small for the IPv6 that there is": {
			settingsOf{"network.pool6": "", "network.mtu": "1000"}, "at least 1280",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := startHost(t, nil)
				h.write(tt.changes)
				if _, err := h.Reload(); err == nil || !strings.Contains(err.Error(), "restart the server") || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				h.connect("alice")
			})
		})
	}
}
