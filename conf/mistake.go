package conf

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
)

var (
	header     = regexp.MustCompile(`^\[\[?\s*[A-Za-z0-9_.\-" ]+\s*\]?\]?`)
	wholeTable = regexp.MustCompile(`^\[\s*[A-Za-z0-9_.\-" ]+\s*\]\s*(#.*)?$|^\[\[\s*[A-Za-z0-9_.\-" ]+\s*\]\]\s*(#.*)?$`)
	anotherKey = regexp.MustCompile(`\s[A-Za-z0-9_]+\s*=[^=]`)
	keyAlone   = regexp.MustCompile(`^[A-Za-z0-9_.]+$`)
)

const typographic = "“”„‟‘’‚«»"

// mistake says what an administrator has probably done where the parser gave up, in which
// line, and what to write; "" if nothing is known. It repeats nothing of a line but the
// names of our keys: what else is there may be a secret.
func mistake(lines []string, at int) (line int, text string) {
	for _, n := range []int{at, at - 1, at - 2} { // the parser notices some in a later line
		if n < 1 || n > len(lines) {
			continue
		}
		s := strings.TrimSpace(lines[n-1])
		if s == "" {
			continue
		}
		if text := mistakeIn(s, tableAt(lines[:n-1]), n == at); text != "" {
			return n, text
		}
	}
	return 0, ""
}

// mistakeIn looks at one line. Only of the line where the parser stopped is the value wrong.
func mistakeIn(s, table string, stopped bool) string {
	switch {
	case strings.HasPrefix(s, "["):
		return wrongHeader(s)
	case !stopped:
		return ""
	case strings.ContainsAny(s, typographic) && !strings.ContainsAny(s, `"'`):
		return `the quotation marks are typographic ones, which a text program has made: write " in their place`
	case strings.HasPrefix(s, "//"), strings.HasPrefix(s, ";"), strings.HasPrefix(s, "--"):
		return "a comment begins with #"
	case strings.HasPrefix(s, "{"):
		return "this is JSON, and the configuration is TOML: a table's name stands in brackets, as in [ipsec], and its keys below, as in psk = \"…\""
	case strings.HasSuffix(s, "]") && keyAlone.MatchString(strings.Trim(s, "]")):
		return "a table's name stands in brackets, as in [ipsec]: the first bracket is missing"
	}
	key, value, found := strings.Cut(s, "=")
	key = bare(key)
	if !found || !keyAlone.MatchString(key) {
		return wrongKey(s)
	}
	return wrongValue(key, join(strings.TrimSuffix(table, "."), key), strings.TrimSpace(value))
}

func wrongHeader(s string) string {
	name := strings.Trim(header.FindString(s), "[] \"")
	right := "[" + name + "]"
	if t := typeOf(reflect.TypeFor[Config](), name); t != nil && isTables(t) {
		right = "[" + right + "]"
	}
	switch {
	case wholeTable.MatchString(s) || !isKey(reflect.TypeFor[Config](), name):
		return ""
	case header.FindString(s) != s && strings.HasSuffix(header.FindString(s), "]"):
		return right + " stands in a line of its own: write what follows in the next one"
	default:
		return "a bracket is missing, or there is one too many: write " + right
	}
}

// wrongKey is about a line that does not begin as a key with its value does.
func wrongKey(s string) string {
	word, _, _ := strings.Cut(s, " ")
	name := strings.TrimRight(word, ":")
	known := anyKey(name)
	switch {
	case strings.HasSuffix(word, ":") && known && !strings.Contains(s, " "):
		return fmt.Sprintf("this is YAML, and the configuration is TOML: write [%s], and its keys below, as in psk = \"…\"", name)
	case strings.HasSuffix(word, ":") && known:
		return fmt.Sprintf("write = in place of the colon, as in %s = …", name)
	case known:
		return fmt.Sprintf("= is missing: write %s = …", name)
	}
	return "a line is a [table], a key = value, or begins with #: this one has no = behind its first word"
}

// wrongValue is about what stands behind =.
func wrongValue(name, key, v string) string {
	if !anyKey(name) {
		name = "the key"
	}
	t := typeOf(reflect.TypeFor[Config](), key)
	switch {
	case v == "" || v[0] == '#':
		return fmt.Sprintf("%s has no value: write one behind =, or # in front of the line", name)
	case v[0] == '=':
		return "one = is enough"
	case v[0] == '(':
		return `a list stands in brackets, as in ["…", "…"]`
	case v[0] == '{' && !strings.Contains(v, "="):
		return `a list stands in brackets, not in braces, as in ["…", "…"]`
	case v[0] == '{' && !strings.HasSuffix(v, "}"):
		return "a table in braces { } stands in one line"
	case v[0] == '"' || v[0] == '\'':
		return behindString(v)
	case v[0] == '[':
		return wrongList(v)
	case anotherKey.MatchString(" " + v):
		return "each key stands in a line of its own"
	case strings.HasSuffix(v, ",") || strings.HasSuffix(v, ";"):
		return "nothing stands behind a value: take the " + map[byte]string{',': "comma", ';': "semicolon"}[v[len(v)-1]] + " away"
	}
	return unquoted(name, v, t)
}

// unquoted is about a value without quotation marks that is none.
func unquoted(name, v string, t reflect.Type) string {
	switch {
	case t != nil && t.Kind() == reflect.Bool:
		return fmt.Sprintf("write %s = true, or %[1]s = false, in small letters", name)
	case t != nil && t.Kind() == reflect.Int:
		return fmt.Sprintf("%s must be a whole number: digits alone, without unit, blank, comma or zero in front", name)
	case t == reflect.TypeFor[time.Duration]():
		return fmt.Sprintf(`a duration stands in quotation marks, as in %s = "30s"`, name)
	case strings.HasSuffix(v, `"`) || strings.HasSuffix(v, "'"):
		return "strings stand in quotation marks: the one in front of the value is missing"
	case t != nil && t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 && t != secretsType:
		return fmt.Sprintf(`%s is a list of strings in quotation marks: write %[1]s = ["…"]`, name)
	}
	return fmt.Sprintf(`strings stand in quotation marks: write %s = "…"`, name)
}

// behindString is about what stands behind a string, or in it.
func behindString(v string) string {
	mark := v[:1]
	if strings.HasPrefix(v, mark+mark+mark) {
		return ""
	}
	rest := v[1:]
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == '\\' && mark == `"`:
			i++
		case rest[i:i+1] == mark:
			behind := strings.TrimSpace(rest[i+1:])
			switch {
			case behind == "" || behind[0] == '#':
				return ""
			case anotherKey.MatchString(" " + strings.TrimLeft(behind, ",; ")):
				return "each key stands in a line of its own"
			case behind == "," || behind == ";":
				return "nothing stands behind a value: take the " + map[string]string{",": "comma", ";": "semicolon"}[behind] + " away"
			}
			return fmt.Sprintf(`something stands behind the string: if a %s is part of it, write \" for it, or put '…' around the string`, mark)
		}
	}
	return "" // it does not end, as the parser says
}

// wrongList is about a list that begins in this line.
func wrongList(v string) string {
	inside := strings.TrimSpace(strings.TrimPrefix(v, "["))
	switch {
	case strings.Contains(strings.ReplaceAll(v, " ", ""), ",,"):
		return "two commas follow each other in the list"
	case inside != "" && !strings.ContainsAny(inside[:1], `"'{[]#`) && strings.ContainsAny(inside, ".:abcdefghijklmnopqrstuvwxyz"):
		return `each string of a list stands in quotation marks, as in ["…", "…"]`
	case strings.HasSuffix(v, "]"):
		return `a comma is missing between two elements of the list`
	}
	return ""
}

// tableAt is the table that the lines end in, as in "network.".
func tableAt(lines []string) string {
	for i := len(lines) - 1; i >= 0; i-- {
		if s := strings.TrimSpace(lines[i]); wholeTable.MatchString(s) {
			return strings.Trim(strings.TrimSpace(header.FindString(s)), "[] ") + "."
		}
	}
	return ""
}

// openList is the line of a list that has not ended before a line, 0 if there is none.
func openList(lines []string, at int) int {
	for i := min(at, len(lines)) - 1; i >= 0; i-- {
		_, v, found := strings.Cut(lines[i], "=")
		if v = strings.TrimSpace(v); found && strings.HasPrefix(v, "[") {
			return map[bool]int{true: i + 1}[strings.Count(v, "[") > strings.Count(v, "]")]
		}
	}
	return 0
}

// anyKey reports whether a name is that of a key or of a table of ours, wherever.
func anyKey(name string) bool {
	return name != "" && (isKey(reflect.TypeFor[Config](), name) || len(tablesWith(name)) > 0)
}

// tablesWith are the tables that have a key, as they stand in a file.
func tablesWith(name string) (tables []string) {
	for field := range reflect.TypeFor[Config]().Fields() {
		t, form := field.Type, "[%s]"
		if isTables(t) {
			t, form = t.Elem(), "[[%s]]"
		}
		if table := field.Tag.Get("toml"); table != "-" && t.Kind() == reflect.Struct && isKey(t, name) && !strings.Contains(name, ".") {
			tables = append(tables, fmt.Sprintf(form, table))
		}
	}
	return tables
}

// typeOf is the type of a key, as in "network.mtu"; nil if there is none.
func typeOf(t reflect.Type, key string) reflect.Type {
	name, rest, more := strings.Cut(key, ".")
	for _, field := range keysOf(t) {
		if field.Tag.Get("toml") != name || name == "-" {
			continue
		}
		inner := field.Type
		if !more {
			return inner
		}
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			return typeOf(inner, rest)
		}
	}
	return nil
}
