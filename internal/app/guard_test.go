package app

import (
	"fmt"
	"strings"
	"testing"
)

// What passes is what the configuration says.
func TestAccessOfAConfiguration(t *testing.T) {
	for name, v := range map[string]struct{ text, want, reach, inbound string }{
		"by default": {
			"[network]\n", "{[] [] false [] false false}", "clients reach ping alone", "nobody opens connections to clients",
		},
		"services": {
			"[network]\nhost_access = [\"tcp/22\", \"udp/5000-5010\"]\n", "{[] [{6 22 22} {17 5000 5010}] false [] false false}",
			"clients reach ping, tcp/22, udp/5000-5010 alone", "nobody",
		},
		"all services": {
			"[network]\nhost_access = [\"all\"]\n", "{[] [] true [] false false}", "clients reach all services of this host", "nobody",
		},
		"inbound": {
			"[network]\ninbound = [\"192.168.1.0/24\", \"2001:db8::/32\"]\nclient_to_client = false\n",
			"{[192.168.1.0/24 2001:db8::/32] [] false [] true false}", "ping alone", "hosts of 192.168.1.0/24, 2001:db8::/32 may open",
		},
		"clients with addresses of their own": {
			"[network]\nmasquerade = false\n", "{[] [] false [] false false}", "ping alone", "inbound = [\"192.168.1.0/24\"]",
		},
		"clients with addresses of their own, and who may reach them": {
			"[network]\nmasquerade = false\ninbound = [\"0.0.0.0/0\"]\n", "{[0.0.0.0/0] [] false [] false false}", "ping alone", "hosts of 0.0.0.0/0 may open",
		},
		"a name server of ours": {
			"[network]\npool6 = [\"2001:db8:83::/48\"]\ndns = [\"9.9.9.9\", \"10.83.0.1\", \"2001:db8:83::1\"]\n",
			"{[] [] false [10.83.0.1 2001:db8:83::1] false false}", "ping, DNS alone", "nobody",
		},
		"a user's name server": {
			"[[user]]\nname = \"alice\"\npassword = \"p\"\ndns = [\"10.83.0.1\"]\n", "{[] [] false [10.83.0.1] false false}", "ping, DNS alone", "nobody",
		},
		"a group's name server": {
			"[[group]]\nname = \"g\"\npsk = \"another key of good length\"\ndns = [\"10.83.0.1\", \"9.9.9.9\"]\n", "{[] [] false [10.83.0.1] false false}", "ping, DNS alone", "nobody",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := loaded(t, v.text+"\n[[user]]\nname = \"bob\"\npassword = \"p\"\n")
			if got := fmt.Sprint(plan(c, "adit0").Policy); got != v.want {
				t.Errorf("policy %s, want %s", got, v.want)
			}
			list := Check(c)
			for _, text := range []string{v.reach, v.inbound} {
				want := "ok"
				if strings.HasPrefix(text, "inbound =") { // what to write
					want = "warn"
				}
				if mark, said := says(list, text); mark != want {
					t.Errorf("check does not say %q: %s %s", text, mark, said)
				}
			}
		})
	}
}

// Services that listen where clients could reach them, and may not, are named as
// network.host_access wants them.
func TestServicesThatAreClosedToClients(t *testing.T) {
	const table = "  sl  local_address rem_address   st\n" +
		"   0: 00000000:0016 00000000:0000 0A 00000000\n" + // ssh
		"   1: 0100007F:1F90 00000000:0000 0A 00000000\n" + // loopback
		"   2: 0100530A:01BD 00000000:0000 0A 00000000\n" + // a file share on 10.83.0.1
		"   3: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n" +
		"   4: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 0\n" + // ::1
		"   5: 0000000000000000FFFF00000100007F:0278 00000000000000000000000000000000:0000 0A 0\n" + // ::ffff:127.0.0.1
		"   6: 00000000:0035 00000000:0000 0A 00000000\n" + // DNS
		"   7: 0200000A:9C40 0100000A:01BB 01 00000000\n" + // a connection
		"   8: nonsense\n   9: zz:zz 0:0 0A\n"
	ports, err := listeningIn(table)
	if err == nil {
		t.Error("a line that cannot be read is passed over in silence")
	}
	for access, want := range map[string]string{
		"":                           "[tcp/22 tcp/445 tcp/80 tcp/53]",
		`host_access = ["tcp/22"]`:   "[tcp/445 tcp/80 tcp/53]",
		`host_access = ["udp/1-99"]`: "[tcp/22 tcp/445 tcp/80 tcp/53]",
		`host_access = ["tcp/1-99"]`: "[tcp/445]",
		`host_access = ["all"]`:      "[]",
		`dns = ["10.83.0.1"]`:        "[tcp/22 tcp/445 tcp/80]",
	} {
		if got := fmt.Sprint(closed(loaded(t, "[network]\n"+access+"\n[[user]]\nname = \"bob\"\npassword = \"p\"\n"), ports)); got != want {
			t.Errorf("%s: closed are %s, want %s", access, got, want)
		}
	}
}
