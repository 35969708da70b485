package conf

import (
	"errors"
	"reflect"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

var (
	quoted      = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	punctuation = regexp.MustCompile(`^'[].=,{}[]'$`)
	secretWords = regexp.MustCompile(`(?i)psk|password|secret|hash`)
)

// syntaxError says where a text is not TOML, and why. The parser quotes what it
// stumbled over: where that may be a piece of a secret, which somebody forgot
// the quotes of, it does not show.
func syntaxError(file, text string, err error) *Error {
	e := &Error{File: file, Text: "is not TOML"}
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return e
	}
	e.Line, e.Text = syntax.Position.Line, syntax.Message
	lines := strings.Split(text, "\n")
	// A list of secrets may have its key some lines before.
	for i := max(0, e.Line-16); i < min(e.Line, len(lines)); i++ {
		if secretWords.MatchString(lines[i]) {
			e.Text = quoted.ReplaceAllStringFunc(e.Text, func(s string) string {
				if punctuation.MatchString(s) || isKey(reflect.TypeFor[Config](), s[1:len(s)-1]) {
					return s
				}
				return "…"
			})
			break
		}
	}
	if why := again(lines, e.Line, syntax.Message); why != "" {
		e.Text = why
	}
	switch {
	case strings.HasPrefix(syntax.Message, "expected value"):
		e.Text += ": strings stand in quotation marks"
	case strings.HasPrefix(syntax.Message, "strings cannot contain newlines"):
		e.Text = "a string begins here and does not end: put a quotation mark at its end"
	}
	return e
}

// isKey reports whether s is the name of a key or table of ours, as in
// "ipsec.psk": such a name is no secret.
func isKey(t reflect.Type, s string) bool {
	name, rest, more := strings.Cut(s, ".")
	for field := range t.Fields() {
		if field.Tag.Get("toml") != name || name == "-" {
			continue
		}
		inner := field.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		return !more || inner.Kind() == reflect.Struct && isKey(inner, rest)
	}
	return false
}
