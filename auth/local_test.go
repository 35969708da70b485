package auth

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"testing"

	"github.com/adit-vpn/adit/internal/secret"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example of RFC 2759, section 9.2.
func mschapExample(t testing.TB, name string) *Request {
	response := unhex(t, "21402324255E262A28295F2B3A337C7E"+"0000000000000000"+
		"82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"+"00")
	return &Request{
		Method: MSCHAPv2, User: name,
		Challenge: unhex(t, "5B5D7C7D7B3F2F3E3C2C602132262628"),
		Response:  response,
	}
}

const exampleSuccess = "S=407A5589115FD0D6209F510FE9C04566932CDA56"

func TestMSCHAPv2VectorOfRFC2759(t *testing.T) {
	hash, err := NTHash([]byte("clientPass"))
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(hash); got != "44ebba8d5312b8d611474411f56989ae" {
		t.Fatalf("NT hash = %s", got)
	}
	for name, user := range map[string]User{
		"by password": {Name: "User", Password: secret.String("clientPass")},
		"by NT hash":  {Name: "User", NTHash: secret.New(hash)},
	} {
		local := NewLocal([]User{user})
		for _, sent := range []string{"User", `OFFICE\User`} {
			r, err := local.Authenticate(context.Background(), mschapExample(t, sent))
			if err != nil || r.Verdict != Accepted || r.Success != exampleSuccess {
				t.Errorf("%s as %q: %v %q %v, want accepted with %s", name, sent, r.Verdict, r.Success, err, exampleSuccess)
			}
		}
		bad := mschapExample(t, "User")
		bad.Response[30] ^= 1
		if r, _ := local.Authenticate(context.Background(), bad); r.Verdict != BadCredentials || r.Success != "" {
			t.Errorf("%s: a wrong response was %v", name, r.Verdict)
		}
		short := mschapExample(t, "User")
		short.Response = short.Response[:48]
		if r, _ := local.Authenticate(context.Background(), short); r.Verdict != BadCredentials {
			t.Errorf("%s: a short response was %v", name, r.Verdict)
		}
	}
}

func TestPAPAndCHAP(t *testing.T) {
	local := NewLocal([]User{
		{Name: "alice", Password: secret.String("wonder land")},
		{Name: "hashed", NTHash: secret.New(make([]byte, 16))},
	})
	challenge := []byte("0123456789abcdef")
	chap := func(user, password string) *Request {
		sum := md5.Sum([]byte("\x07" + password + string(challenge)))
		return &Request{Method: CHAP, User: user, ID: 7, Challenge: challenge, Response: sum[:]}
	}
	pap := func(user, password string) *Request {
		return &Request{Method: PAP, User: user, Password: secret.String(password)}
	}
	for _, c := range []struct {
		what string
		r    *Request
		want Verdict
	}{
		{"right PAP", pap("alice", "wonder land"), Accepted},
		{"wrong PAP", pap("alice", "wonderland"), BadCredentials},
		{"empty PAP", pap("alice", ""), BadCredentials},
		{"unknown user", pap("bob", "wonder land"), BadCredentials},
		{"right CHAP", chap("alice", "wonder land"), Accepted},
		{"wrong CHAP", chap("alice", "x"), BadCredentials},
		{"PAP with only a hash", pap("hashed", ""), MethodImpossible},
		{"CHAP with only a hash", chap("hashed", ""), MethodImpossible},
	} {
		r, err := local.Authenticate(context.Background(), c.r)
		if err != nil || r.Verdict != c.want {
			t.Errorf("%s: %v %v, want %v", c.what, r.Verdict, err, c.want)
		}
	}
}

func TestReplaceExchangesTheTable(t *testing.T) {
	local := NewLocal([]User{{Name: "old", Password: secret.String("p")}})
	local.Replace([]User{{Name: "new", Password: secret.String("p")}})
	if r, _ := local.Authenticate(context.Background(), &Request{Method: PAP, User: "old", Password: secret.String("p")}); r.Verdict != BadCredentials {
		t.Errorf("a removed user was %v", r.Verdict)
	}
}
