package conf

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// accepted are the suites of phase 1, and those of ESP, that lists accept.
func accepted(t *testing.T, ikeList, espList []string) (phase1, esp, pfs []string) {
	c := &Config{IPsec: IPsec{IKE: make([]IKEElement, len(ikeList)), ESP: make([]ESPElement, len(espList))}}
	for i, text := range ikeList {
		if err := c.IPsec.IKE[i].UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for i, text := range espList {
		if err := c.IPsec.ESP[i].UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	s, e := c.IKESuites(), c.ESPSuites()
	for _, cipher := range cipherWords {
		for _, hash := range hashWords {
			for _, group := range groupWords {
				if s.Rank(cipher, hash, group) >= 0 {
					phase1 = append(phase1, cipher+"-"+hash+"-"+group)
				}
			}
			if e.RankESP(cipher, hash) >= 0 {
				esp = append(esp, cipher+"-"+hash)
			}
		}
	}
	for _, cipher := range gcmWords {
		if e.RankESP(cipher, "") >= 0 {
			esp = append(esp, cipher)
		}
	}
	for _, group := range groupWords {
		if e.PFS(group) {
			pfs = append(pfs, group)
		}
	}
	return phase1, esp, pfs
}

func TestSuitesAreNamedAsAdministratorsNameThem(t *testing.T) {
	for _, tt := range []struct {
		ike, esp []string
		phase1   int // how many are accepted, of 144
		all      int // of 19 of ESP
		pfs      int // of 9 groups
		has      string
	}{
		{nil, nil, 144, 19, 9, "3des-sha1-modp1024"},
		{[]string{}, []string{}, 144, 19, 9, "3des-sha1-modp1024"},
		{[]string{"aes256-sha1-modp2048"}, []string{"aes256-sha1"}, 1, 1, 9, "aes256-sha1-modp2048"},
		{[]string{"aes256-sha1-modp2048!"}, []string{"aes256-sha1!"}, 1, 1, 9, "aes256-sha1-modp2048"},
		{[]string{"AES256-SHA-DH14"}, []string{"aes256-sha"}, 1, 1, 9, "aes256-sha1-modp2048"},
		{[]string{"aes256-sha2;modp2048"}, []string{"aes_gcm256"}, 1, 1, 9, "aes256-sha256-modp2048"},
		{[]string{"aes256-sha256-modp2048,aes128-sha1-modp2048"}, []string{"aes128gcm,aes256gcm16"}, 2, 2, 9, "aes128-sha1-modp2048"},
		{[]string{"aes256-aes128-sha256-modp2048-ecp256"}, []string{"aes256-aes128-sha1-sha256"}, 4, 4, 9, "aes128-sha256-ecp256"},
		{[]string{"aes-modp2048"}, []string{"aes"}, 12, 12, 9, "aes192-sha512-modp2048"},
		{[]string{"modp2048"}, []string{"aesgcm"}, 16, 3, 9, "3des-sha1-modp2048"},
		{[]string{"!3des"}, []string{"!3des"}, 108, 15, 9, "aes256-sha1-modp1024"},
		{[]string{"!modp1024"}, []string{"!modp1024"}, 128, 19, 8, "3des-sha1-modp1536"},
		{[]string{"!3des", "!modp1024"}, []string{"!3des-sha1"}, 96, 18, 9, "aes256-sha1-modp1536"},
		{[]string{"!3des-sha1"}, []string{"!sha1"}, 135, 15, 9, "3des-sha256-modp1024"},
		{[]string{"aes", "!modp1024"}, []string{"aes", "aesgcm", "!aes192"}, 96, 11, 9, "aes192-sha1-modp1536"},
		{nil, []string{"sha256"}, 144, 4, 9, "3des-sha1-modp1024"},
		{nil, []string{"aes256-sha1-modp2048", "aes128-sha1-ecp256"}, 144, 2, 2, "3des-sha1-modp1024"},
		{nil, []string{"aes-modp2048", "!modp1024"}, 144, 12, 1, "3des-sha1-modp1024"},
	} {
		phase1, esp, pfs := accepted(t, tt.ike, tt.esp)
		if len(phase1) != tt.phase1 || len(esp) != tt.all || len(pfs) != tt.pfs || !slices.Contains(phase1, tt.has) {
			t.Errorf("%q accepts %d suites of phase 1, %q %d of ESP with %d groups; want %d, %d, %d, and %s among them",
				tt.ike, len(phase1), tt.esp, len(esp), len(pfs), tt.phase1, tt.all, tt.pfs, tt.has)
		}
		text := fmt.Sprintf("[ipsec]\npsk = %q\nike = [%s]\nesp = [%s]\n[[user]]\nname = \"a\"\npassword = \"b\"\n",
			"a random pre-shared key", quotedList(tt.ike), quotedList(tt.esp))
		if _, err := load(t, text); err != nil {
			t.Errorf("%q, %q: %v", tt.ike, tt.esp, err)
		}
	}
}

func quotedList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(quoted, ", ")
}

// The order of the elements is the order of preference.
func TestTheFirstElementIsWantedMost(t *testing.T) {
	var element IKEElement
	if err := element.UnmarshalText([]byte("aes128-sha1-modp2048,aes,3des")); err != nil {
		t.Fatal(err)
	}
	s := (&Config{IPsec: IPsec{IKE: []IKEElement{element}}}).IKESuites()
	for suite, want := range map[[3]string]int{
		{"aes128", "sha1", "modp2048"}: 0, {"aes256", "sha1", "modp2048"}: 1, {"3des", "sha1", "modp1024"}: 2,
	} {
		if got := s.Rank(suite[0], suite[1], suite[2]); got != want {
			t.Errorf("%v has rank %d, want %d", suite, got, want)
		}
	}
}

func TestWrongSuitesAreNamedWithTheirLine(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`ike = ["aes256-sha1-modp2084"]`, `ipsec.ike[0]: "modp2084" is not a cipher, hash or group; did you mean "modp2048"?`},
		{`ike = ["aes256-sha1-modp2048", "3dse"]`, `ipsec.ike[1]: "3dse" is not a cipher, hash or group; did you mean "3des"?`},
		{`esp = ["aes256gcm61"]`, `ipsec.esp[0]: "aes256gcm61" is not a cipher, hash or group; did you mean "aes256gcm16"?`},
		{`ike = ["whatever-it-is"]`, `"whatever" is not a cipher, hash or group: there are aes, aes256`},
		{`ike = ["aes256gcm16-sha256-modp2048"]`, `"aes256gcm16" is for ipsec.esp alone`},
		{`ike = ["des-md5-modp768"]`, `"des" is accepted in no case`},
		{`esp = ["aes-md5"]`, `"md5" is accepted in no case`},
		{`ike = ["!"]`, `ipsec.ike[0]: "!" names nothing`},
		{`ike = [""]`, `ipsec.ike[0]: "" names nothing`},
		{`ike = ["!aes", "!3des"]`, `ipsec.ike: accepts nothing`},
		{`esp = ["3des", "!3des"]`, `ipsec.esp: accepts nothing`},
		{`ike = "aes256"`, `ipsec.ike: must be a list, not a string`},
	} {
		text := "[ipsec]\npsk = \"a random pre-shared key\"\n" + tt.line + "\n[[user]]\nname = \"a\"\npassword = \"b\"\n"
		_, err := load(t, text)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), ":3: ") {
			t.Errorf("%s: %v, want line 3 and %q", tt.line, err, tt.want)
		}
	}
}
