package conf

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/secret"
)

// kubernetesService is what the kubelet makes of a service.
func kubernetesService(name string) []string {
	n := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	return []string{
		n + "_SERVICE_HOST=10.96.7.9", n + "_SERVICE_PORT=500", n + "_SERVICE_PORT_IKE=500", n + "_SERVICE_PORT_NAT_T=4500",
		n + "_PORT=udp://10.96.7.9:500", n + "_PORT_500_UDP=udp://10.96.7.9:500", n + "_PORT_500_UDP_PROTO=udp", n + "_PORT_500_UDP_PORT=500",
		n + "_PORT_500_UDP_ADDR=10.96.7.9", n + "_PORT_4500_UDP=udp://10.96.7.9:4500", n + "_PORT_9701_TCP=tcp://10.96.7.9:9701", n + "_PORT_9701_TCP_PROTO=tcp",
	}
}

// Variables that a platform makes of the name of a service, ours or another's,
// configure nothing, and are not errors.
func TestVariablesThatAPlatformMakes(t *testing.T) {
	six := []string{"ADIT_SERVICE_HOST=fd00:96::7", "ADIT_PORT=udp://[fd00:96::7]:500", "ADIT_PORT_500_UDP_ADDR=fd00:96::7"}
	link := []string{
		"ADIT_NAME=/web/adit", "ADIT_ENV_PATH=/usr/bin", "ADIT_ENV_IPSEC_PSK=of the other container", "ADIT_ENV_ENV_X=y",
		"ADIT_PORT=udp://172.17.0.2:500", "ADIT_PORT_500_UDP_START=udp://172.17.0.2:500", "ADIT_PORT_500_UDP_END=udp://172.17.0.2:510",
		"ADIT_PORT_500_UDP_PORT_START=500", "ADIT_PORT_500_UDP_PORT_END=510", "ADIT_PORT_132_SCTP=sctp://172.17.0.2:132",
	}
	tables := map[string][]string{"IPv6": six, "a link": link}
	for _, name := range []string{"adit", "adit-server", "adit-vpn", "adit-radius", "adit-users", "adit-network", "adit-admin", "adit-ipsec-psk"} {
		tables["service "+name] = kubernetesService(name)
	}
	base := []string{"ADIT_IPSEC_PSK=" + goodPSK, "ADIT_USERS=a:b"}
	for name, environ := range tables {
		c, err := load(t, "", append(base, environ...)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		plain, err := load(t, "", base...)
		if err != nil {
			t.Fatal(err)
		}
		plain.File, plain.read, plain.Server.StateDir = c.File, c.read, c.Server.StateDir
		if again, err := c.InForce(plain); err != nil || again != c || len(c.Users) != 1 || !c.IPsec.PSK[0].Equal(plain.IPsec.PSK[0]) {
			t.Errorf("%s configures something: %+v", name, c)
		}
	}
}

// A misspelt variable is none of those, and gets a suggestion.
func TestVariablesThatSomebodyMisspelt(t *testing.T) {
	for text, want := range map[string]string{
		"ADIT_IPSEC_PKS=x":              `did you mean "ADIT_IPSEC_PSK"?`,
		"ADIT_USER=alice:x":             `did you mean "ADIT_USERS"?`,
		"ADIT_NETWORK_POOLS=10.0.0.0/8": `did you mean "ADIT_NETWORK_POOL"?`,
		"ADIT_RADIUS_SERVER=r:1812":     `did you mean "ADIT_RADIUS_SERVERS"?`,
		"ADIT_RADIUS_SECRETS=x":         `did you mean "ADIT_RADIUS_SECRET"?`,
		"ADIT_ADMIN_METRIC=x":           `did you mean "ADIT_ADMIN_METRICS"?`,
		"ADIT_SERVER_PORT=500":          "", // of a platform it would be udp://…
		"ADIT_RADIUS_PORT=1812":         "",
		"ADIT_SERVER_NAME=vpn":          "",
		"ADIT_SERVICE_HOST=vpn.example": "",
		"ADIT_ENV_X=1":                  "", // no link has such a name
		"ADIT_PORT_500_UDP=500":         "",
		"ADIT_SERVICE_PORT=99999":       "",
	} {
		name, value, _ := strings.Cut(text, "=")
		_, err := load(t, "", "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=a:b", text)
		if err == nil || !strings.Contains(err.Error(), name+": unknown environment variable") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil && strings.Contains(strings.ReplaceAll(err.Error(), name, ""), value) && len(value) > 3 {
			t.Errorf("%s: the error has the value, which may be a secret: %v", text, err)
		}
	}
}

// RADIUS is configured by environment, wholly.
func TestRADIUSByEnvironment(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two := file("one", "first secret\n"), file("two", "second, secret\n")
	inFile := "[radius]\nservers = [{ address = \"r1:1812\", accounting = \"r1:1813\", secret = \"of the file\" }, { address = \"r2:1812\", secret_file = \"/nonexistent\" }]\n"
	server := func(address, accounting, key string) RadiusServer {
		s := RadiusServer{Secret: secret.String(key)}
		if err := errors.Join(s.Address.UnmarshalText([]byte(address)), s.Accounting.UnmarshalText([]byte(accounting))); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, tt := range map[string]struct {
		file    string
		environ []string
		want    []RadiusServer
	}{
		"one server": {"", []string{"ADIT_RADIUS_SERVERS=r1:1812", "ADIT_RADIUS_SECRET=a, secret"}, []RadiusServer{server("r1:1812", "", "a, secret")}},
		"one secret for two": {
			"", []string{"ADIT_RADIUS_SERVERS=r1:1812, [2001:db8::1]:1812", "ADIT_RADIUS_ACCOUNTING=r1:1813,", "ADIT_RADIUS_SECRET_FILE=" + one},
			[]RadiusServer{server("r1:1812", "r1:1813", "first secret"), server("[2001:db8::1]:1812", "", "first secret")},
		},
		"a file for each": {
			"", []string{"ADIT_RADIUS_SERVERS=r1:1812,r2:1812", "ADIT_RADIUS_SECRET_FILE=" + one + "," + two},
			[]RadiusServer{server("r1:1812", "", "first secret"), server("r2:1812", "", "second, secret")},
		},
		"instead of the file's": {inFile, []string{"ADIT_RADIUS_SERVERS=r9:1812", "ADIT_RADIUS_SECRET=s"}, []RadiusServer{server("r9:1812", "", "s")}},
		"the secrets of the file's": {
			inFile, []string{"ADIT_RADIUS_SECRET=s"}, []RadiusServer{server("r1:1812", "r1:1813", "s"), server("r2:1812", "", "s")},
		},
	} {
		c, err := load(t, tt.file, append(tt.environ, "ADIT_IPSEC_PSK="+goodPSK, "ADIT_AUTH_BACKEND=radius")...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.EqualFunc(c.Radius.Servers, tt.want, func(a, b RadiusServer) bool {
			return a.Address == b.Address && a.Accounting == b.Accounting && a.Secret.Equal(b.Secret)
		}) {
			t.Errorf("%s: %+v", name, c.Radius.Servers)
		}
	}
}

func TestRADIUSByEnvironmentThatIsWrong(t *testing.T) {
	for want, environ := range map[string][]string{
		"ADIT_RADIUS_SECRET: does nothing without servers":                  {"ADIT_RADIUS_SECRET=s"},
		"ADIT_RADIUS_SECRET_FILE: does nothing without servers":             {"ADIT_RADIUS_SECRET_FILE=/x"},
		"ADIT_RADIUS_ACCOUNTING: does nothing without servers":              {"ADIT_RADIUS_ACCOUNTING=r:1813"},
		"ADIT_RADIUS_SERVERS: missing: set it, or secret_file":              {"ADIT_RADIUS_SERVERS=r:1812"},
		`ADIT_RADIUS_SERVERS: "r" is not host:port, as in "192.0.2.1:1812"`: {"ADIT_RADIUS_SERVERS=r", "ADIT_RADIUS_SECRET=s"},
		`ADIT_RADIUS_ACCOUNTING: "r" is not host:port`:                      {"ADIT_RADIUS_SERVERS=r:1812", "ADIT_RADIUS_SECRET=s", "ADIT_RADIUS_ACCOUNTING=r"},
		"ADIT_RADIUS_ACCOUNTING: has 1 elements for 2 servers":              {"ADIT_RADIUS_SERVERS=r:1812,q:1812", "ADIT_RADIUS_SECRET=s", "ADIT_RADIUS_ACCOUNTING=r:1"},
		"ADIT_RADIUS_SECRET_FILE: names 2 files for 3 servers":              {"ADIT_RADIUS_SERVERS=r:1,q:1,p:1", "ADIT_RADIUS_SECRET_FILE=/a,/b"},
		"ADIT_RADIUS_SECRET_FILE: cannot read the secret":                   {"ADIT_RADIUS_SERVERS=r:1", "ADIT_RADIUS_SECRET_FILE=/nonexistent"},
		"ADIT_RADIUS_SECRET_FILE: set ADIT_RADIUS_SECRET or ADIT_":          {"ADIT_RADIUS_SERVERS=r:1", "ADIT_RADIUS_SECRET_FILE=/a", "ADIT_RADIUS_SECRET=s"},
	} {
		_, err := load(t, "", append(environ, "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=a:b")...)
		var errs Errors
		if !errors.As(err, &errs) || !strings.Contains("\n"+err.Error(), "\n"+want) {
			t.Errorf("%v:\n got %v\nwant %s", environ, err, want)
		}
	}
}

// Every secret can be a file that a platform has mounted, with the mode that it
// has there.
func TestSecretsThatAPlatformMounts(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	for name, text := range map[string]string{"psk": goodPSK, "users": "alice:x\n", "radius": "s"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	environ := []string{
		"ADIT_IPSEC_PSK_FILE=" + dir + "/psk", "ADIT_USERS_FILE=" + dir + "/users", "ADIT_RADIUS_SERVERS=r:1812", "ADIT_RADIUS_SECRET_FILE=" + dir + "/radius",
	}
	if c, err := load(t, "", environ...); err != nil || c.IPsec.PSK[0].Len() != len(goodPSK) || len(c.Users) != 1 || c.Radius.Servers[0].Secret.Len() != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	_, err := load(t, "", environ...)
	for _, name := range []string{"ADIT_IPSEC_PSK_FILE", "ADIT_USERS_FILE", "ADIT_RADIUS_SECRET_FILE"} {
		if err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("elsewhere others can read it: %s is not in %v", name, err)
		}
	}
}
