package conf

import (
	"errors"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

var (
	quoted      = regexp.MustCompile(`"[^"]*"|'[^']*'`)
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
			e.Text = quoted.ReplaceAllString(e.Text, "…")
			break
		}
	}
	return e
}
