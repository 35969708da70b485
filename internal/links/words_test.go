package links

import "testing"

// An error of MS-CHAPv2 is said in words, which are the same with every challenge.
func TestErrorsOfMSCHAPInWords(t *testing.T) {
	for why, want := range map[string]string{
		"E=691 R=0 C=8772AB00000000000000000000000000 V=3 M=Authentication failed": `the other end refuses the name or the password, or does not admit the link now: its log says which (error 691); it says "Authentication failed"`,
		"E=691 R=1":                   "the other end refuses the name or the password, or does not admit the link now: its log says which (error 691)",
		"E=646 R=0 C=00 V=3 M=":       "the other end does not admit the link at this hour (error 646)",
		"E=647 R=0 C=00 V=3":          "the other end says that the account is disabled (error 647)",
		"E=648 R=0 C=00 V=3":          "the other end says that the password has expired (error 648)",
		"E=649 R=0 V=3 M=no":          `the other end says that the account has no permission to dial in (error 649); it says "no"`,
		"E=709 R=0 C=00 V=3":          "the other end refuses the link: its log says why (error 709)",
		"E=mc2":                       "E=mc2",
		"the other end is silent":     "the other end is silent",
		"E=691 R=0 and some nonsense": "E=691 R=0 and some nonsense",
	} {
		if got := inWords(why); got != want {
			t.Errorf("%s is\n%s, want\n%s", why, got, want)
		}
	}
}
