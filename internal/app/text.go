package app

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What peers call themselves reaches the log and, by the commands, a terminal. Both
// take it from here: bounded, on one line, and without what a terminal acts on or a
// reader is deceived by, such as marks that turn the direction of writing.

// fieldLimit bounds a field that comes from a peer, bytes.
const fieldLimit = 128

// errorLimit bounds an error of ours, bytes: it may say at length what to do.
const errorLimit = 1024

// field makes a peer's string fit for a log.
func field(s string) string { return bounded(s, fieldLimit) }

// errorField does so for an error that may quote a peer.
func errorField(err error) string { return bounded(err.Error(), errorLimit) }

// bounded makes a string fit for one line, with at most limit bytes of it.
func bounded(s string, limit int) string {
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return strings.Map(harmless, s)
}

// harmless is a character as it is shown: '?' for what is not a visible one.
func harmless(r rune) rune {
	if r == utf8.RuneError || !strconv.IsPrint(r) {
		return '?'
	}
	return r
}

// Word makes a string from anywhere fit for a terminal, as the log does.
func Word(s string) string { return field(s) }

// Cell does so for a column of a table, which one long name must not push off the
// screen.
func Cell(s string) string {
	const most = 32 // characters
	if runes := []rune(field(s)); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return field(s)
}

// Prose does so for text of ours that quotes others: lines stay lines.
func Prose(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '\n':
			return r
		case '\t':
			return ' '
		}
		return harmless(r)
	}, s)
}

// EscapeJSON writes the characters of JSON text that are not visible as \u escapes. They
// stand in its strings alone, so that it says the same as before.
func EscapeJSON(text []byte) []byte {
	hides := func(r rune) bool { return r != '\n' && r != utf8.RuneError && !strconv.IsPrint(r) }
	if !bytes.ContainsFunc(text, hides) {
		return text
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		switch {
		case !hides(r):
			b.WriteRune(r)
		case r > 0xffff: // as a pair of surrogates (RFC 8259, section 7)
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}
