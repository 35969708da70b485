package auth

import "testing"

func TestSpellingsOfOneUser(t *testing.T) {
	fold, domain, realm := Identity{FoldCase: true}, Identity{StripDomain: true}, Identity{StripRealm: true}
	all := Identity{true, true, true}
	for _, c := range []struct {
		i          Identity
		name, want string
	}{
		{Identity{}, `CORP\Alice@corp.example`, `CORP\Alice@corp.example`},
		{fold, `CORP\Alice@Corp.Example`, `corp\alice@corp.example`},
		{fold, "ÉLODIE", "élodie"},
		{domain, `CORP\Alice`, "Alice"},
		{domain, `a\b\Alice`, "Alice"},
		{domain, `CORP\`, `CORP\`},
		{domain, "Alice@corp", "Alice@corp"},
		{realm, "Alice@corp.example", "Alice"},
		{realm, "a@b@corp.example", "a@b"},
		{realm, "@corp.example", "@corp.example"},
		{realm, `CORP\Alice`, `CORP\Alice`},
		{all, `CORP\Alice@corp.example`, "alice"},
		{all, `CORP\@corp.example`, `corp\@corp.example`},
		{all, "", ""},
	} {
		if got := c.i.Of(c.name); got != c.want {
			t.Errorf("%+v: %q is %q, want %q", c.i, c.name, got, c.want)
		}
	}
}

func TestAServersNameStands(t *testing.T) {
	g := Grant{User: `CORP\Alice`}
	g.Identify(Identity{true, true, true}, "bob")
	if g.User != `CORP\Alice` || g.Called() != `CORP\Alice` {
		t.Errorf("%+v", g)
	}
	g = Grant{}
	g.Identify(Identity{true, true, true}, `CORP\Bob`)
	if g.User != "bob" || g.Called() != `CORP\Bob` {
		t.Errorf("%+v", g)
	}
}
