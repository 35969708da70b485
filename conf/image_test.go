package conf

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// imageEnv is what an env file of the image has at least.
func imageEnv(more ...string) []string {
	return append([]string{"VPN_IPSEC_PSK=" + goodPSK, "VPN_USER=vpnuser", "VPN_PASSWORD=p1"}, more...)
}

// Marks and blanks around values are not part of them: docker run --env-file
// leaves them there, and that image takes them away.
func TestValuesOfTheImageAreUnquoted(t *testing.T) {
	for _, form := range []string{"%s", `"%s"`, `'%s'`, `  "%s" `, "\t%s\t"} {
		q := func(name, value string) string { return name + "=" + fmt.Sprintf(form, value) }
		c, err := load(t, "", q("VPN_IPSEC_PSK", goodPSK), q("VPN_USER", "u1"), q("VPN_PASSWORD", "p1#$"),
			q("VPN_ADDL_USERS", "u2  u3"), q("VPN_ADDL_PASSWORDS", "p2 p3"), q("VPN_ADDL_IP_ADDRS", "* 192.168.42.7"),
			q("VPN_DNS_SRV1", "1.1.1.1"), q("VPN_PUBLIC_IP", "192.0.2.1"), q("VPN_L2TP_NET", "192.168.42.0/24"))
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		var users []string
		for _, u := range c.Users {
			users = append(users, u.Name+":"+string(u.Password.Reveal())+":"+textOf(u.Address))
		}
		if want := []string{"u1:p1#$:", "u2:p2:", "u3:p3:192.168.42.7"}; !slices.Equal(users, want) {
			t.Errorf("%s: users %q, want %q", form, users, want)
		}
		if string(c.IPsec.PSK[0].Reveal()) != goodPSK || c.Server.Public.String() != "192.0.2.1" || !slices.Equal(Texts(c.Network.DNS), []string{"1.1.1.1"}) || !slices.Equal(Texts(c.Network.Pool), []string{"192.168.42.0/24"}) {
			t.Errorf("%s: %q, %q, %q, %q", form, c.IPsec.PSK[0].Reveal(), c.Server.Public, c.Network.DNS, c.Network.Pool)
		}
	}
	// Each of several may have marks, and one mark alone is a character.
	c, err := load(t, "", imageEnv(`VPN_ADDL_USERS="u2" "u3"`, `VPN_ADDL_PASSWORDS='p2' 'p3'`)...)
	if err != nil || c.Users[1].Name != "u2" || string(c.Users[2].Password.Reveal()) != "p3" {
		t.Errorf("%v, %+v", err, c)
	}
	if c, err := load(t, "", "VPN_IPSEC_PSK="+goodPSK, "VPN_USER=u", "VPN_PASSWORD=\""); err != nil || string(c.Users[0].Password.Reveal()) != `"` {
		t.Errorf("%v, %+v", err, c)
	}
}

// Marks around values of our own variables may be meant: they stay, and are named.
func TestQuotationMarksOfOurVariablesAreNamed(t *testing.T) {
	for variable, noted := range map[string]bool{
		`ADIT_IPSEC_PSK="` + goodPSK + `"`: true, "ADIT_IPSEC_PSK='" + goodPSK + "'": true,
		"ADIT_IPSEC_PSK=" + goodPSK: false, `ADIT_IPSEC_PSK="` + goodPSK: false, `ADIT_IPSEC_PSK="` + goodPSK + "'": false,
	} {
		name, value, _ := strings.Cut(variable, "=")
		c, err := load(t, "", variable, "ADIT_USERS=a:b")
		if err != nil || string(c.IPsec.PSK[0].Reveal()) != value {
			t.Errorf("%s: %v", variable, err)
			continue
		}
		is := slices.ContainsFunc(c.Notes, func(s string) bool { return strings.HasPrefix(s, name+": the quotation marks") })
		if is != noted || strings.Contains(strings.Join(c.Notes, ""), goodPSK) {
			t.Errorf("%s: notes %q", variable, c.Notes)
		}
	}
}

// Every variable of the image is honoured, or named in a note or an error.
func TestEveryVariableOfTheImageMeansSomething(t *testing.T) {
	is := func(list []IKEElement, want string) bool {
		text, err := list[0].MarshalText()
		return err == nil && len(list) == 1 && string(text) == want
	}
	for variable, want := range map[string]struct {
		note, err string
		holds     func(c *Config) bool
	}{
		"VPN_DNS_NAME=vpn.example.com":                {holds: func(c *Config) bool { return c.Server.Public.String() == "vpn.example.com" }},
		"VPN_PUBLIC_IP=192.0.2.1":                     {holds: func(c *Config) bool { return c.Server.Public.String() == "192.0.2.1" }},
		"VPN_DNS_SRV2=1.0.0.1":                        {holds: func(c *Config) bool { return slices.Equal(Texts(c.Network.DNS), []string{"1.0.0.1"}) }},
		"VPN_DNS_SRV1=dns.example.com":                {err: `VPN_DNS_SRV1, VPN_DNS_SRV2: "dns.example.com" is not an IP address`},
		"VPN_L2TP_NET=10.9.0.0/24":                    {holds: func(c *Config) bool { return slices.Equal(Texts(c.Network.Pool), []string{"10.9.0.0/24"}) }},
		"VPN_L2TP_NET=10.9.0.7/24":                    {holds: func(c *Config) bool { return slices.Equal(Texts(c.Network.Pool), []string{"10.9.0.0/24"}) }},
		"VPN_L2TP_NET=all":                            {err: `VPN_L2TP_NET: "all" is not a network`},
		"VPN_L2TP_LOCAL=192.168.42.1":                 {holds: func(c *Config) bool { return slices.Equal(Texts(c.Network.Pool), []string{"192.168.42.0/24"}) }},
		"VPN_L2TP_LOCAL=192.168.42.2":                 {err: "VPN_L2TP_LOCAL: "},
		"VPN_L2TP_POOL=192.168.42.10-192.168.42.250":  {note: "VPN_L2TP_POOL: clients get addresses of all of 192.168.42.0/24", holds: func(c *Config) bool { return slices.Equal(Texts(c.Network.Pool), []string{"192.168.42.0/24"}) }},
		"VPN_L2TP_POOL=192.168.50.10-192.168.50.20":   {err: "VPN_L2TP_POOL: 192.168.50.10-192.168.50.20 is not of 192.168.42.0/24: set VPN_L2TP_NET"},
		"VPN_L2TP_POOL=192.168.42.10":                 {err: "VPN_L2TP_POOL: "},
		"VPN_XAUTH_NET=192.168.43.0/24":               {note: "VPN_XAUTH_NET: is about XAuth"},
		"VPN_XAUTH_POOL=192.168.43.10-192.168.43.250": {note: "VPN_XAUTH_POOL: is about XAuth"},
		"VPN_DISABLE_IPSEC_XAUTH=yes":                 {},
		"VPN_DISABLE_IPSEC_XAUTH=no":                  {note: "VPN_DISABLE_IPSEC_XAUTH: "},
		"VPN_CLIENT_NAME=phone":                       {note: "VPN_CLIENT_NAME: is about IKEv2"},
		"VPN_CLIENT_VALIDITY=24":                      {note: "VPN_CLIENT_VALIDITY: is about IKEv2"},
		"VPN_PROTECT_CONFIG=yes":                      {note: "VPN_PROTECT_CONFIG: is about IKEv2"},
		"VPN_PROTECT_CONFIG=no":                       {},
		"VPN_SPLIT_IKEV2=10.123.123.0/24":             {note: "VPN_SPLIT_IKEV2: is about IKEv2"},
		"VPN_IKEV2_ONLY=yes":                          {err: "VPN_IKEV2_ONLY: asks for a server without L2TP"},
		"VPN_IKEV2_ONLY='Yes'":                        {err: "VPN_IKEV2_ONLY: asks for a server without L2TP"},
		"VPN_IKEV2_ONLY=no":                           {},
		"VPN_DISABLE_IPSEC_L2TP=YES":                  {err: "VPN_DISABLE_IPSEC_L2TP: asks for a server without L2TP"},
		"VPN_DISABLE_IPSEC_L2TP=maybe":                {note: `VPN_DISABLE_IPSEC_L2TP: "maybe" is neither yes nor no`},
		"VPN_ENABLE_MODP1024=yes":                     {holds: func(c *Config) bool { return len(c.IPsec.IKE) == 0 }},
		"VPN_ENABLE_MODP1024=no":                      {holds: func(c *Config) bool { return is(c.IPsec.IKE, "!modp1024") }},
		"VPN_ENABLE_MODP1536=no":                      {holds: func(c *Config) bool { return is(c.IPsec.IKE, "!modp1536") }},
		"VPN_SHA2_TRUNCBUG=yes":                       {},
		"VPN_ANDROID_MTU_FIX=yes":                     {},
		"VPN_ADDL_IP_ADDRS=192.168.42.2":              {err: "VPN_ADDL_IP_ADDRS: 1 addresses for 0 names"},
		"VPN_PORT=tcp://10.0.0.1:500":                 {}, // of a service called vpn
	} {
		c, err := load(t, "", imageEnv(variable)...)
		switch {
		case want.err != "":
			if err == nil || !strings.Contains(err.Error(), want.err) {
				t.Errorf("%s: %v, want %q", variable, err, want.err)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", variable, err)
			continue
		}
		notes := strings.Join(c.Notes, "\n")
		if want.note == "" && notes != "" || !strings.HasPrefix(notes, want.note) || len(c.Notes) > 1 {
			t.Errorf("%s: notes %q, want %q", variable, notes, want.note)
		}
		if want.holds != nil && !want.holds(c) {
			t.Errorf("%s: %+v", variable, c)
		}
	}
}

// Addresses of users are L2TP's, XAuth's, or any.
func TestAddressesOfTheImagesUsers(t *testing.T) {
	c, err := load(t, "", imageEnv("VPN_ADDL_USERS=u1 u2 u3 u4 u5", "VPN_ADDL_PASSWORDS=p1 p2 p3 p4 p5", "VPN_ADDL_IP_ADDRS=* * 192.168.42.2 192.168.43.2")...)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range c.Users[1:] {
		got = append(got, textOf(u.Address))
	}
	if want := []string{"", "", "192.168.42.2", "", ""}; !slices.Equal(got, want) || !slices.Equal(Texts(c.Network.Pool), []string{"192.168.42.0/24"}) {
		t.Errorf("%q of %q", got, c.Network.Pool)
	}
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], `192.168.43.2 is not of 192.168.42.0/24`) || !strings.Contains(c.Notes[0], `"u4"`) {
		t.Errorf("%q", c.Notes)
	}
	if _, err := load(t, "", imageEnv("VPN_ADDL_USERS=u1", "VPN_ADDL_PASSWORDS=p1", "VPN_ADDL_IP_ADDRS=any")...); err == nil || !strings.Contains(err.Error(), `VPN_ADDL_IP_ADDRS: "any" is neither`) {
		t.Errorf("%v", err)
	}
}

// The file and ADIT_ variables override the image's variables.
func TestOurOwnKeysComeBeforeTheImages(t *testing.T) {
	const text = "[server]\npublic = \"ours.example.com\"\n[ipsec]\npsk = \"another key of good length\"\n"
	c, err := load(t, text, imageEnv("VPN_DNS_NAME=theirs.example.com", "VPN_DNS_SRV1=1.1.1.1", "VPN_L2TP_NET=192.168.42.0/24",
		"ADIT_NETWORK_DNS=9.9.9.10", "ADIT_NETWORK_POOL=10.9.0.0/24")...)
	if err != nil {
		t.Fatal(err)
	}
	if c.Server.Public.String() != "ours.example.com" || string(c.IPsec.PSK[0].Reveal()) == goodPSK || !slices.Equal(Texts(c.Network.DNS), []string{"9.9.9.10"}) || !slices.Equal(Texts(c.Network.Pool), []string{"10.9.0.0/24"}) {
		t.Errorf("%+v", c)
	}
	if len(c.Notes) != 1 || !strings.HasPrefix(c.Notes[0], "VPN_L2TP_NET: network.pool is set") {
		t.Errorf("%q", c.Notes)
	}
	c, err = load(t, "", imageEnv("VPN_ADDL_USERS=u1", "VPN_ADDL_PASSWORDS=p1", "VPN_ADDL_IP_ADDRS=10.9.0.7", "ADIT_NETWORK_POOL=10.9.0.0/24")...)
	if err != nil || textOf(c.Users[1].Address) != "10.9.0.7" || c.Notes != nil {
		t.Errorf("%v, %+v", err, c)
	}
	// An error about a key names the variable that people wrote.
	if _, err := load(t, "", "VPN_IPSEC_PSK=short", "VPN_USER=u", "VPN_PASSWORD=p"); err == nil || !strings.HasPrefix(err.Error(), "VPN_IPSEC_PSK: ") {
		t.Errorf("%v", err)
	}
}
