package radius

import (
	"slices"
	"strings"
	"testing"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/adit-vpn/adit/internal/secret"
)

// A server with realms names no user of another one, whose sessions would make room for its own.
func TestAServerNamesUsersOfItsRealms(t *testing.T) {
	for _, tt := range []struct {
		realms         []string
		asked, replied string
		user, name     string
		refused        bool
	}{
		{[]string{"a.example"}, "bob@a.example", "", "", "", false},
		{[]string{"a.example"}, "bob@a.example", "Robert@A.example", "Robert@A.example", "", false},
		{[]string{"a.example"}, "bob@A.Example", "robert", "robert@a.example", "robert", false},
		{[]string{"x", "CORP"}, `corp\bob`, "robert", `CORP\robert`, "robert", false},
		{[]string{"a.example"}, "bob@a.example", "victim@b.example", "", "", true},
		{[]string{"a.example"}, "bob@a.example", `CORP\victim`, "", "", true},
		{[]string{"a.example"}, "bob@a.example", `CORP\victim@a.example`, "", "", true},
		{nil, "bob", "victim@b.example", "victim@b.example", "", false},
		{nil, "bob@c.example", "robert", "robert", "", false},
	} {
		bubble(t, func(t *testing.T) {
			s := serve(t, func(p *radius.Packet, _ []byte) []byte {
				return signed(p, radius.CodeAccessAccept, func(r *radius.Packet) {
					if tt.replied != "" {
						_ = rfc2865.UserName_SetString(r, tt.replied)
					}
				})
			})
			c := client(t, Config{Servers: []Server{{Address: s.address(), Secret: secret.String(shared), Realms: tt.realms}}})
			for try := range 2 {
				answer, _, err := login(t, c, tt.asked)
				if err != nil || answer.Grant.User != tt.user || answer.Grant.Name != tt.name {
					t.Errorf("%+v: the user is %q, called %q, %v", tt, answer.Grant.User, answer.Grant.Name, err)
				}
				warned := slices.ContainsFunc(answer.Warnings, func(w string) bool { return strings.Contains(w, "User-Name has no effect") })
				if warned != (tt.refused && try == 0) {
					t.Errorf("%+v: warnings of login %d: %q", tt, try, answer.Warnings)
				}
			}
		})
	}
}
