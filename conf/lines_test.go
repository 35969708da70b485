package conf

import (
	"strings"
	"testing"
)

// Quotes in comments, and in strings of every kind, do not hide the lines behind them.
func TestErrorsNameTheLineBehindQuotes(t *testing.T) {
	for name, text := range map[string]string{
		"a comment":                         "# \"\"\" is how a long string begins\n",
		"a comment behind a value":          "[log]\nlevel = \"info\" # not \"\"\"\n",
		"quotes in a literal string":        "[server]\nstate_dir = '/a\"\"\"b'\n",
		"a number sign in a string":         "[server]\nstate_dir = \"/a#b\"\n",
		"an escaped quote":                  "[server]\nstate_dir = \"/a\\\"'''\"\n",
		"an empty string":                   "[server]\nstate_dir = \"\" # \"\n",
		"a string of three lines":           "[server]\nstate_dir = \"\"\"\n/a\\\"\"\"\nnonsense = 1\"\"\"\n",
		"a literal string of three lines":   "[server]\nstate_dir = '''\nnonsense = 1\n\"\"\"'''\n",
		"a long string that ends at once":   "[server]\nstate_dir = \"\"\"/a\"\"\"\n",
		"a long string with other quotes":   "[server]\nstate_dir = \"\"\"it's '''a'''\"\"\"\n",
		"a string that is not closed again": "[server]\nstate_dir = 'it\"s'\n",
	} {
		key, line := "nonsense", strings.Count(text, "\n")+2
		if got := keyLines(text + "[last]\n" + key + " = 1\n"); got["last.nonsense"] != line {
			t.Errorf("%s: %v, want last.nonsense in line %d", name, got, line)
		} else if _, wrong := got["server.nonsense"]; wrong {
			t.Errorf("%s: what is in a string is a key", name)
		}
	}
}
