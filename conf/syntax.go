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

// syntaxError says where a text is not TOML, and why. The parser quotes the text where it
// stopped. That is left out if it may be part of a secret whose quotation marks somebody
// forgot.
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
	switch line, why := mistake(lines, e.Line); {
	case strings.HasPrefix(syntax.Message, "strings cannot contain newlines"):
		e.Text = "a string begins here and does not end: put a quotation mark at its end"
	case strings.HasPrefix(syntax.Message, "invalid escape"):
		e.Text = `a backslash in "…" begins a special character: write it twice, or put '…' around the string`
	case strings.HasPrefix(syntax.Message, "expected a comma (',') or array terminator") && openList(lines, e.Line) > 0:
		e.Line = openList(lines, e.Line)
		e.Text = "a list begins here, and what follows is no part of it: put ] at its end, and commas between its elements"
	case strings.HasPrefix(syntax.Message, "TOML files cannot contain control characters"):
		e.Text = "a control character is here, perhaps the end of a line of an old Mac: save the file as UTF-8 text with Unix line ends"
	case strings.Contains(syntax.Message, "inline table terminator"):
		e.Text = "a table in braces { } ends in the line in which it begins"
	case twice.MatchString(syntax.Message):
	case why != "":
		e.Line, e.Text = line, why
	case strings.HasPrefix(syntax.Message, "expected value"):
		e.Text = "strings stand in quotation marks"
	}
	return e
}

// isKey reports whether s is the name of a key or table of ours, as in
// "ipsec.psk": such a name is not a secret.
func isKey(t reflect.Type, s string) bool {
	name, rest, more := strings.Cut(s, ".")
	for _, field := range keysOf(t) {
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
