package conf

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// twice is what the parser says of a key or a table that is there already.
var twice = regexp.MustCompile(`^Key '([^']*)' (?:has already been defined|was already created and cannot be used as an array)\.$`)

// again explains a duplicate key or table in line by naming the line of the first one. It
// returns "" if the parser's message is about something else, or about an unknown name,
// which may be a secret.
func again(lines []string, line int, message string) string {
	m := twice.FindStringSubmatch(message)
	if m == nil || !isKey(reflect.TypeFor[Config](), m[1]) || line < 1 || line > len(lines) {
		return ""
	}
	name := m[1]
	first := firstLine(lines[:line-1], name)
	if first == 0 {
		return ""
	}
	before, now := form(lines[first-1]), form(lines[line-1])
	switch {
	case now == before && now == "[%s]":
		return fmt.Sprintf("[%s] is there already, from line %d on, and a table stands in a file once: move the keys below this line there", name, first)
	case now == before:
		return fmt.Sprintf("%s is set already, in line %d: keep one of the two", name, first)
	}
	return fmt.Sprintf(now+" cannot stand here: it is "+before+" in line %d, and has to be the same in both places", name, name, first)
}

// form is how a line names what it is about: as a list's element, a table, or a
// key. What else is in it may be a secret.
func form(line string) string {
	switch line = strings.TrimSpace(line); {
	case strings.HasPrefix(line, "[["):
		return "[[%s]]"
	case strings.HasPrefix(line, "["):
		return "[%s]"
	}
	return "%s"
}

// number is the index of a list's element in a key of keyLines.
var number = regexp.MustCompile(`\[[0-9]+\]`)

// firstLine finds the line of a key or a table; of elements of a list, the last
// one's, which is the one that the parser means. 0: there is none.
func firstLine(lines []string, name string) (line int) {
	for key, n := range keyLines(strings.Join(lines, "\n")) {
		if number.ReplaceAllString(key, "") == name {
			line = max(line, n)
		}
	}
	return line
}
