package radius

import (
	"fmt"
	"strings"
	"testing"
)

// Networks behind a client are read in every form that servers write them in; what cannot be
// read is named, and costs no other.
func TestFormsOfRoutes(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8 0.0.0.0 1":                    "[10.0.0.0/8]",
		"10.0.0.0/8":                              "[10.0.0.0/8]",
		"10.1.2.3/8":                              "[10.0.0.0/8]",
		"10.0.0.0/8 10.83.0.9 1 2 -1 3 400":       "[10.0.0.0/8]",
		"10.0.0.0/8 10.83.0.9 metric 5":           "[10.0.0.0/8]",
		"\t10.0.0.0/8\t0.0.0.0   1 ":              "[10.0.0.0/8]",
		"10.0.0.0/8 0.0.0.0 1\x00":                "[10.0.0.0/8]",
		"10.0.0.0/8\r\n":                          "[10.0.0.0/8]",
		"10.0.0.0/255.0.0.0":                      "[10.0.0.0/8]",
		"10.0.0.0 255.0.0.0 10.1.1.1 1":           "[10.0.0.0/8]",
		"10.0.0.0 255.255.255.255":                "[10.0.0.0/32]",
		"10.0.0.1":                                "[10.0.0.1/32]",
		"10.0.0.1/32 10.0.0.1 1":                  "[10.0.0.1/32]",
		"10.0.0.1 255.255.255.255 0.0.0.0 1":      "[10.0.0.1/32]",
		"10.0.0.0":                                "[10.0.0.0/8]",
		"172.16.0.0 0.0.0.0 1":                    "[172.16.0.0/16]",
		"192.0.2.0 10.83.0.9":                     "[192.0.2.0/24]",
		"ip route 192.0.2.0 255.255.255.128 1":    "[192.0.2.0/25]",
		"route 192.0.2.0/25":                      "[192.0.2.0/25]",
		"192.0.2.0/25 10.83.0.9 1,10.0.0.0/8":     "[192.0.2.0/25 10.0.0.0/8]",
		"192.0.2.0/25 10.83.0.9 1 , 10.0.0.0/8, ": "[192.0.2.0/25 10.0.0.0/8]",
		"2001:db8::/48":                           "[2001:db8::/48]",
		"2001:db8:0:1::1/48 :: 1":                 "[2001:db8::/48]",
		"2001:db8::1":                             "[2001:db8::1/128]",
		"ipv6 route 2001:db8::/48 fe80::1":        "[2001:db8::/48]",
		"2001:db8::/48,2001:db8:1::/48 :: 1":      "[2001:db8::/48 2001:db8:1::/48]",

		"":                                    "[] it is empty",
		" , ,":                                "[] it is empty",
		"\x00":                                "[] it is empty",
		"ip":                                  "[] not a network",
		"nowhere":                             "[] not a network",
		"10.0.0.0/33":                         "[] not a network",
		"10.0.0.0/-1":                         "[] not a network",
		"10.0.0.0/+8":                         "[] not a network",
		"10.0.0.0/":                           "[] not a network",
		"10.0.0.0/255.0.255.0":                "[] not a network",
		"10.0.0/8":                            "[] not a network",
		"2001:db8::/129":                      "[] not a network",
		"2001:db8::%eth0/64":                  "[] not a network",
		"fe80::1%eth0":                        "[] not a network",
		"::ffff:10.0.0.0/104":                 "[] not a network",
		"vrf red 10.0.0.0 255.0.0.0":          "[] VRF",
		"ip route vrf red 10.0.0.0 255.0.0.0": "[] VRF",
		"192.0.2.0/25, nowhere, 10.0.0.0/8":   "[192.0.2.0/25 10.0.0.0/8] \"nowhere\" is not a network",
	} {
		var g granted
		err := route(&g, []byte(text))
		got, why, _ := strings.Cut(want, "] ")
		if why != "" {
			got += "]"
		}
		if fmt.Sprint(g.Routes) != got || (err != nil) != (why != "") || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, %v, want %s", text, g.Routes, err, want)
		}
	}
}
