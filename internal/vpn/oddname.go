package vpn

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// oddName says which byte of a user name a person does not see, and so does not
// miss: a NUL that a client counted in, a blank at an end, a control character; ""
// if there is none. The words are ours, the numbers the peer's.
func oddName(name string) string {
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		what := oddRune(r, n, i == 0 || onlySpace(name[i:]))
		if what != "" {
			return fmt.Sprintf("byte %d of %d is 0x%02x (%s)", i+1, len(name), name[i], what)
		}
		i += n
	}
	return ""
}

// oddRune names what is odd about a character of so many bytes.
func oddRune(r rune, n int, atEnd bool) string {
	switch {
	case r == 0:
		return "NUL"
	case r == utf8.RuneError && n == 1:
		return "not UTF-8"
	case r == ' ' && atEnd:
		return "blank at an end"
	case unicode.IsSpace(r) && r != ' ', unicode.IsControl(r):
		return fmt.Sprintf("%U, a control character or blank", r)
	case unicode.Is(unicode.Cf, r):
		return fmt.Sprintf("%U, which is invisible", r)
	}
	return ""
}

// onlySpace tells whether nothing but blanks follows, or what else is odd.
func onlySpace(s string) bool {
	for _, r := range s {
		if r != ' ' && r != 0 {
			return false
		}
	}
	return true
}
