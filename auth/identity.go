package auth

import "strings"

// Identity says which spellings of a name are one user's. Everything that counts or finds the
// sessions of a user does so by what Of returns.
type Identity struct {
	FoldCase    bool // Alice is alice
	StripDomain bool // CORP\alice is alice
	StripRealm  bool // alice@corp.example is alice
}

// Of is the one spelling that stands for all of a user's.
func (i Identity) Of(name string) string {
	short := name
	if i.StripDomain {
		short = BareName(short)
	}
	if at := strings.LastIndexByte(short, '@'); i.StripRealm && at >= 0 {
		short = short[:at]
	}
	if short == "" { // CORP\, @corp.example: that is nobody else's name
		short = name
	}
	if i.FoldCase {
		short = strings.ToLower(short)
	}
	return short
}

// Identify gives a grant whose user the backend does not name the user of the name that the
// peer sent. A name of the backend's stands: it knows who its users are.
func (g *Grant) Identify(i Identity, sent string) {
	if g.User == "" {
		g.User, g.Name = i.Of(sent), sent
	}
}

// Called is the user's name in accounting: servers know their users by what they were asked
// about.
func (g *Grant) Called() string { return or(g.Name, g.User) }
