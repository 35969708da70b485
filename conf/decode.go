package conf

import (
	"fmt"
	"reflect"
	"sort"
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
	env    map[string]string // the variables that set keys, by key

	// Where users come from: the first inFile from the file, those up to
	// inEnvironment from the environment, the rest from usersFile.
	inFile, inEnvironment int
	usersFile             string
	usersLines            map[string]int
}

func (d *decoder) fail(key, format string, args ...any) {
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

// failUser reports what is wrong with a user, where the user stands.
func (d *decoder) failUser(i int, field, format string, args ...any) {
	if i < d.inFile {
		d.fail(fmt.Sprintf("user[%d].%s", i, field), format, args...)
		return
	}
	e := &Error{Key: fmt.Sprintf("environment: user[%d].%s", i-d.inFile, field), Text: fmt.Sprintf(format, args...)}
	if i >= d.inEnvironment {
		e.File, e.Key = d.usersFile, fmt.Sprintf("user[%d].%s", i-d.inEnvironment, field)
		e.Line = lineOf(d.usersLines, e.Key)
	}
	d.errors = append(d.errors, e)
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
)

// table decodes one table into the struct v.
func (d *decoder) table(v reflect.Value, path string, tree map[string]any) {
	names := make([]string, 0, len(tree))
	for name := range tree {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		field, ok := fieldOf(v, name)
		key := join(path, name)
		if !ok {
			d.fail(key, "unknown key%s", suggestion(v.Type(), name))
			continue
		}
		d.value(field, key, tree[name])
	}
}

func (d *decoder) value(v reflect.Value, key string, x any) {
	switch {
	case v.Type() == secretsType:
		switch s := x.(type) {
		case string:
			x = []any{s}
		case []any:
		default:
			d.fail(key, `must be a string in quotation marks, or a list of them, not %s`, kindOf(x))
			return
		}
		d.list(v, key, x)
	case v.Type() == secretType:
		if s, ok := want[string](d, key, x, "a string"); ok {
			v.Set(reflect.ValueOf(secret.String(s)))
		}
	case v.Type() == durationType:
		if s, ok := want[string](d, key, x, `a duration such as "30s" or "5m"`); ok {
			if t, err := time.ParseDuration(s); err != nil || t < 0 {
				d.fail(key, `%q is not a duration such as "30s" or "5m"`, s)
			} else {
				v.SetInt(int64(t))
			}
		}
	case v.Kind() == reflect.String:
		if s, ok := want[string](d, key, x, "a string"); ok {
			v.SetString(s)
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
		d.list(v, key, x)
	case v.Kind() == reflect.Struct:
		if list, ok := x.([]map[string]any); ok && len(list) > 0 {
			d.fail(key, "must be a table, not a list: write [%s] in place of [[%s]], and all keys below one", key, key)
			return
		}
		if t, ok := want[map[string]any](d, key, x, "a table"); ok {
			d.table(v, key, t)
		}
	}
}

func (d *decoder) list(v reflect.Value, key string, x any) {
	var elements []any
	switch x := x.(type) {
	case []any:
		elements = x
	case []map[string]any:
		for _, t := range x {
			elements = append(elements, t)
		}
	default:
		advice := ""
		switch x.(type) {
		case string:
			advice = `: put it in brackets, as in ["…"]`
		case map[string]any:
			if v.Type().Elem().Kind() == reflect.Struct {
				advice = ": write [[" + key + "]] in place of [" + key + "], once for each"
			}
		}
		d.fail(key, "must be a list, not %s%s", kindOf(x), advice)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(elements), len(elements))
	for i, e := range elements {
		d.value(list.Index(i), fmt.Sprintf("%s[%d]", key, i), e)
	}
	v.Set(list)
}

// want asserts x's type. The value never shows: it may be a secret.
func want[T any](d *decoder, key string, x any, what string) (T, bool) {
	t, ok := x.(T)
	if !ok {
		d.fail(key, "must be %s, not %s", what, kindOf(x))
	}
	return t, ok
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

func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("toml"); tag == name && tag != "-" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// suggestion names the known key that is nearest to name, if it is near.
func suggestion(t reflect.Type, name string) string {
	var keys []string
	for field := range t.Fields() {
		if tag := field.Tag.Get("toml"); tag != "-" {
			keys = append(keys, tag)
		}
	}
	return didYouMean(keys, strings.ToLower(name))
}

// didYouMean asks whether one of the words was meant, if one is near.
func didYouMean(words []string, name string) string {
	best, distance := "", min(4, 1+len(name)/2)
	for _, w := range words {
		if n := editDistance(name, w); n < distance {
			best, distance = w, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
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
