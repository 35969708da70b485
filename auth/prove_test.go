package auth

import (
	"context"
	"testing"

	"github.com/adit-vpn/adit/internal/secret"
)

// Who knows the password proves it by every method, and who does not, does not; of MS-CHAPv2 the
// server proves it, too.
func TestAPasswordIsProved(t *testing.T) {
	local := NewLocal([]User{{Name: "alice", Password: secret.String("pässword")}})
	for _, m := range []Method{PAP, CHAP, MSCHAPv2} {
		for _, name := range []string{"alice", `CORP\alice`} {
			for password, want := range map[string]Verdict{"pässword": Accepted, "password": BadCredentials} {
				r, err := Prove(m, name, secret.String(password))
				if err != nil {
					t.Fatal(err)
				}
				answer, err := local.Authenticate(context.Background(), r)
				if err != nil || answer.Verdict != want {
					t.Errorf("%v of %s with %q: %v, %v", m, name, password, answer.Verdict, err)
				}
				if want == Accepted && !Proves(r, secret.String(password), answer) {
					t.Errorf("%v: the server does not prove it: %q", m, answer.Success)
				}
				if m == MSCHAPv2 && want == Accepted && Proves(r, secret.String("other"), answer) {
					t.Error("another password is proved")
				}
			}
		}
	}
	if _, err := Prove(EAP, "alice", secret.String("x")); err == nil {
		t.Error("EAP is one request")
	}
}
