package conf

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseService(t *testing.T) {
	for s, want := range map[string]Service{
		"tcp/22": {TCP, 22, 22, false}, "udp/53": {UDP, 53, 53, false}, "tcp/1-65535": {TCP, 1, 65535, false}, "udp/8000-8010": {UDP, 8000, 8010, false}, "tcp/9-9": {TCP, 9, 9, false},
		"all": {All: true},
		"":    {}, "22": {}, "tcp": {}, "tcp/": {}, "tcp/0": {}, "tcp/65536": {}, "tcp/9-8": {}, "tcp/-8": {}, "tcp/8-": {}, "tcp/+8": {},
		"sctp/22": {}, "TCP/22": {}, "tcp/ssh": {}, "tcp/22,23": {}, "tcp/22 ": {}, "icmp/8": {}, "tcp/1-2-3": {},
	} {
		var got Service
		err := got.UnmarshalText([]byte(s))
		if got != want || (err != nil) != (want == Service{}) {
			t.Errorf("%q: %v, %v; want %v", s, got, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%q", s)) {
			t.Errorf("%q: %v does not say what is wrong", s, err)
		}
	}
}

func TestAccessIsValidated(t *testing.T) {
	const psk = "[ipsec]\npsk = \"a key of good length\"\n[network]\n"
	const tap = "mode = \"tap\"\nlan = \"192.168.1.0/24\"\npool = [\"192.168.1.200-192.168.1.250\"]\n"
	for text, wrong := range map[string]string{
		`host_access = ["tcp/22", "udp/53"]`:                "",
		`host_access = ["all"]`:                             "",
		`host_access = ["tcp/22", "everything"]`:            "network.host_access[1]",
		`inbound = ["192.168.0.0/16", "::/0", "0.0.0.0/0"]`: "",
		`inbound = ["192.168.1.7/16"]`:                      "192.168.0.0/16",
		`inbound = ["10.0.0.0/8", "office"]`:                "network.inbound[1]",
		`inbound = ["::ffff:10.0.0.0/104"]`:                 "network.inbound[0]",
		tap + `inbound = ["192.168.1.0/24"]`:                "network.inbound",
		tap + `host_access = ["all"]`:                       "network.host_access",
		tap:                                                 "",
	} {
		_, err := load(t, psk+text+"\n[[user]]\nname = \"alice\"\npassword = \"p\"\n")
		if (err != nil) != (wrong != "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want %q", text, err, wrong)
		}
	}
}
