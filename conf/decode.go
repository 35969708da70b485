package conf

import (
	"fmt"
	"net/netip"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// decoder turns a TOML tree into a Config and collects what does not fit, so
// that all of it is reported at once.
type decoder struct {
	file   string
	lines  map[string]int
	errors Errors
	unread map[string]bool   // keys whose value cannot be read
	env    map[string]string // the variables that set keys, by key

	// Where users come from: the first inFile from the file, those up to
	// inEnvironment from the environment, the rest from usersFile.
	inFile, inEnvironment int
	groupsInFile          int // of groups; the rest are from usersFile
	usersFile             string
	usersLines            map[string]int
	usersUnread           map[string]bool
}

// fail reports what is wrong with a key. A key that could not be read has an error
// already and gets no second one.
func (d *decoder) fail(key, format string, args ...any) {
	if d.isUnread(key) {
		return
	}
	whole, _, _ := strings.Cut(key, "[")
	for _, k := range []string{key, whole} {
		if name, ok := d.env[k]; ok {
			d.errors = append(d.errors, &Error{Key: name, Text: fmt.Sprintf(format, args...)})
			return
		}
	}
	if table, _, ok := strings.Cut(whole, "."); ok && d.file == "" && table == strings.ToLower(table) {
		key = variableOf(whole) // there is no file to write it into
	}
	d.errors = append(d.errors, &Error{File: d.file, Line: d.line(key), Key: key, Text: fmt.Sprintf(format, args...)})
}

// isUnread reports whether a key, or what it is in, could not be read.
func (d *decoder) isUnread(key string) bool {
	for len(d.unread) > 0 && key != "" {
		if d.unread[key] {
			return true
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return false
}

// refuse reports a key that cannot be read: what follows from that is not reported, too.
func (d *decoder) refuse(key, format string, args ...any) {
	d.fail(key, format, args...)
	d.markUnread(key)
}

// failUser reports what is wrong with a user, where the user stands.
func (d *decoder) failUser(i int, field, format string, args ...any) {
	if i < d.inFile {
		d.fail(fmt.Sprintf("user[%d].%s", i, field), format, args...)
		return
	}
	if d.unreadUser(i, field) {
		return
	}
	e := &Error{Key: fmt.Sprintf("environment: user[%d].%s", i-d.inFile, field), Text: fmt.Sprintf(format, args...)}
	if i >= d.inEnvironment {
		e.File, e.Key = d.usersFile, fmt.Sprintf("user[%d].%s", i-d.inEnvironment, field)
		e.Line = lineOf(d.usersLines, e.Key)
	}
	d.errors = append(d.errors, e)
}

// failGroup reports what is wrong with a group, where the group stands.
func (d *decoder) failGroup(i int, field, format string, args ...any) {
	if i < d.groupsInFile || d.usersFile == "" {
		d.fail(fmt.Sprintf("group[%d].%s", i, field), format, args...)
		return
	}
	key := fmt.Sprintf("group[%d].%s", i-d.groupsInFile, field)
	if !d.usersUnread[key] {
		d.errors = append(d.errors, &Error{File: d.usersFile, Line: lineOf(d.usersLines, key), Key: key, Text: fmt.Sprintf(format, args...)})
	}
}

// unreadUser reports whether a key of a user could not be read.
func (d *decoder) unreadUser(i int, field string) bool {
	if i < d.inFile {
		return d.unread[fmt.Sprintf("user[%d].%s", i, field)]
	}
	return d.usersUnread[fmt.Sprintf("user[%d].%s", i-d.inEnvironment, field)]
}

// userPlace names where a user stands.
func (d *decoder) userPlace(i int) string {
	switch {
	case i >= d.inEnvironment:
		return d.usersFile
	case i >= d.inFile:
		return "the environment"
	}
	return d.file
}

// line finds the line of a key of the file.
func (d *decoder) line(key string) int { return lineOf(d.lines, key) }

// lineOf finds the key's line, or that of the nearest table around it.
func lineOf(lines map[string]int, key string) int {
	for key != "" {
		if n, ok := lines[key]; ok {
			return n
		}
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			return 0
		}
		key = key[:i]
	}
	return 0
}

var (
	secretType   = reflect.TypeFor[secret.Bytes]()
	secretsType  = reflect.TypeFor[[]secret.Bytes]()
	durationType = reflect.TypeFor[time.Duration]()
	addrType     = reflect.TypeFor[netip.Addr]()
	greKeyType   = reflect.TypeFor[GREKey]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
)

// table decodes one table into the struct v.
func (d *decoder) table(v reflect.Value, path string, tree map[string]any) {
	names := make([]string, 0, len(tree))
	for name := range tree {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		field, tag, ok := fieldOf(v, name)
		key := join(path, name)
		switch {
		case !ok:
			meant, advice := suggestion(v.Type(), path, name)
			d.fail(key, "unknown key%s", advice)
			if meant != "" {
				d.markUnread(meant) // it is there, under another name
			}
		case tree[name] == "" && isAddress(field.Type()): // not set
			field.SetZero()
		default:
			d.value(field, tag, key, tree[name])
		}
	}
}

func (d *decoder) value(v reflect.Value, tag reflect.StructTag, key string, x any) {
	switch {
	case v.Type() == secretsType:
		switch s := x.(type) {
		case string:
			x = []any{s}
		case []any:
		default:
			d.refuse(key, `must be a string in quotation marks, or a list of them, not %s`, kindOf(x))
			return
		}
		d.list(v, tag, key, x)
	case v.Type() == durationType:
		if s, ok := want[string](d, key, x, `a duration such as "30s" or "5m"`); ok {
			d.text(v, tag, key, s)
		}
	case v.Type() == greKeyType:
		if n, ok := x.(int64); ok {
			x = strconv.FormatInt(n, 10)
		}
		if s, ok := want[string](d, key, x, "a number"); ok {
			d.text(v, tag, key, s)
		}
	case isText(v.Type()), v.Kind() == reflect.String:
		if s, ok := want[string](d, key, x, "a string"); ok {
			d.text(v, tag, key, s)
		}
	case v.Kind() == reflect.Bool:
		if b, ok := want[bool](d, key, x, "true or false"); ok {
			v.SetBool(b)
		}
	case v.Kind() == reflect.Int:
		if n, ok := want[int64](d, key, x, "a whole number"); ok {
			v.SetInt(n)
		}
	case v.Kind() == reflect.Slice:
		d.list(v, tag, key, x)
	case v.Kind() == reflect.Struct:
		if list, ok := x.([]map[string]any); ok && len(list) > 0 {
			d.refuse(key, "must be a table, not a list: write [%s] in place of [[%s]], and all keys below one", key, key)
			return
		}
		if t, ok := want[map[string]any](d, key, x, "a table"); ok {
			d.table(v, key, t)
		}
	}
}

func (d *decoder) text(v reflect.Value, tag reflect.StructTag, key, text string) {
	if err := readText(v, tag, text); err != nil {
		d.cannotRead(key, err)
	}
}

func (d *decoder) list(v reflect.Value, tag reflect.StructTag, key string, x any) {
	var elements []any
	switch x := x.(type) {
	case []any:
		elements = x
	case []map[string]any:
		for _, t := range x {
			elements = append(elements, t)
		}
	default:
		advice, tables := "", isTables(v.Type())
		switch x.(type) {
		case string:
			advice = `: put it in brackets, as in ["…"]`
			if tables {
				advice = ": write [[" + key + "]] and its keys below, once for each"
			}
		case map[string]any:
			if tables {
				advice = ": write [[" + key + "]] in place of [" + key + "], once for each"
			}
		}
		d.refuse(key, "must be a list, not %s%s", kindOf(x), advice)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(elements), len(elements))
	for i, e := range elements {
		d.value(list.Index(i), tag, fmt.Sprintf("%s[%d]", key, i), e)
	}
	v.Set(list)
}

// want asserts x's type. The value never shows: it may be a secret.
func want[T any](d *decoder, key string, x any, what string) (T, bool) {
	t, ok := x.(T)
	if !ok {
		d.refuse(key, "must be %s, not %s%s", what, kindOf(x), remedy(t, key, x))
	}
	return t, ok
}

// remedy says what to write in place of a value of another type.
func remedy(wanted any, key string, x any) string {
	_, text := x.(string)
	switch wanted.(type) {
	case bool, int64:
		if text {
			return ": take the quotation marks away"
		}
	case string:
		switch x.(type) {
		case int64, float64, bool:
			return ": put it in quotation marks"
		case []any:
			return ": take the brackets away"
		}
	case map[string]any:
		list, _, element := strings.Cut(key, "[")
		if !element {
			return ": write [" + key + "] and its keys below"
		}
		return ": write [[" + list + "]] and its keys below, once for each"
	}
	return ""
}

func kindOf(x any) string {
	switch x.(type) {
	case string:
		return "a string"
	case int64:
		return "a number"
	case float64:
		return "a fraction"
	case bool:
		return "true or false"
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date"
}

func fieldOf(v reflect.Value, name string) (reflect.Value, reflect.StructTag, bool) {
	for _, f := range keysOf(v.Type()) {
		if f.Tag.Get("toml") == name && name != "-" {
			return v.FieldByIndex(f.Index), f.Tag, true
		}
	}
	return reflect.Value{}, "", false
}

// keysOf are the keys of a table, those among them that several tables have in common and are
// a struct of their own, which is embedded.
func keysOf(t reflect.Type) (list []reflect.StructField) {
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			list = append(list, f)
		}
	}
	return list
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// suggestion names the known key that is nearest to name, if it is near, or where a key of
// that name belongs. meant is the key that stands here under another name; "": none.
func suggestion(t reflect.Type, path, name string) (meant, advice string) {
	var keys []string
	for _, field := range keysOf(t) {
		if tag := field.Tag.Get("toml"); tag != "-" {
			keys = append(keys, tag)
		}
	}
	if tables := tablesWith(name); len(tables) > 0 && len(tables) < 4 {
		if len(tables) == 1 {
			meant = join(strings.Trim(tables[0], "[]"), name)
		}
		return meant, ": it belongs below " + strings.Join(tables, ", or ")
	}
	word := nearestWord(keys, strings.ToLower(name))
	if word == "" {
		return "", ""
	}
	return join(path, word), fmt.Sprintf("; did you mean %q?", word)
}

// didYouMean asks whether one of the words was meant, if one is near.
func didYouMean(words []string, name string) string {
	best := nearestWord(words, name)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// nearestWord is the word that is nearest to name, "" if none is near.
func nearestWord(words []string, name string) (best string) {
	distance := min(4, 1+len(name)/2)
	for _, w := range words {
		if n := editDistance(name, w); n < distance {
			best, distance = w, n
		}
	}
	return best
}

// editDistance is Levenshtein's, with two letters that changed places as one
// mistake.
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
