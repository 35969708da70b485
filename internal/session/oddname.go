package session

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// oddName describes the byte of a user name that a person cannot see and so does not
// notice: a NUL that a client included, a blank at either end, a control character. It
// returns "" if there is none. The words are ours, the numbers come from the peer.
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

// oddRune describes what is odd about a character that is n bytes long.
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

// onlySpace tells whether nothing but blanks and NULs follows.
func onlySpace(s string) bool {
	for _, r := range s {
		if r != ' ' && r != 0 {
			return false
		}
	}
	return true
}
