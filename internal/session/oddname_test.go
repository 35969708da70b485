package session

import "testing"

func TestTheOddByteOfANameIsNamed(t *testing.T) {
	for name, want := range map[string]string{
		"alice":             "",
		"":                  "",
		"Ana María":         "",
		`CORP\alice`:        "",
		"alice@example.org": "",
		"alice\x00":         "byte 6 of 6 is 0x00 (NUL)",
		"alice\x00\x00":     "byte 6 of 7 is 0x00 (NUL)",
		"al\x00ice":         "byte 3 of 6 is 0x00 (NUL)",
		"alice ":            "byte 6 of 6 is 0x20 (blank at an end)",
		"alice  \x00":       "byte 6 of 8 is 0x20 (blank at an end)",
		" alice":            "byte 1 of 6 is 0x20 (blank at an end)",
		"alice\r\n":         "byte 6 of 7 is 0x0d (U+000D, a control character or blank)",
		"alice\t":           "byte 6 of 6 is 0x09 (U+0009, a control character or blank)",
		"alice\u00a0":       "byte 6 of 7 is 0xc2 (U+00A0, a control character or blank)",
		"\ufeffalice":       "byte 1 of 8 is 0xef (U+FEFF, which is invisible)",
		"ali\u200bce":       "byte 4 of 8 is 0xe2 (U+200B, which is invisible)",
		"alic\xe9":          "byte 5 of 5 is 0xe9 (not UTF-8)",
		"\x7falice":         "byte 1 of 6 is 0x7f (U+007F, a control character or blank)",
	} {
		if got := oddName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
