package conf

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the reference of docs/configuration.md anew")

const (
	referenceFile  = "../docs/configuration.md"
	referenceBegin = "<!-- begin of the reference: go test ./conf -run Reference -rewrite -->\n"
	referenceEnd   = "<!-- end of the reference -->\n"
)

// TestReferenceIsWhatTheStructsSay keeps docs/configuration.md from drifting.
func TestReferenceIsWhatTheStructsSay(t *testing.T) {
	b, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), referenceBegin)
	_, tail, ok2 := strings.Cut(rest, referenceEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the reference", referenceFile)
	}
	want := head + referenceBegin + reference(t) + referenceEnd + tail
	if want == string(b) {
		return
	}
	if !*rewrite {
		t.Fatalf("%s says something else than the structs: go test ./conf -run Reference -rewrite", referenceFile)
	}
	if err := os.WriteFile(referenceFile, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// reference is the part of the document that is made of tags and defaults.
func reference(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	c := reflect.ValueOf(Default()).Elem()
	for i := range c.NumField() {
		name := c.Type().Field(i).Tag.Get("toml")
		switch field := c.Field(i); {
		case name == "-":
		case field.Kind() == reflect.Slice:
			fmt.Fprintf(&out, "\n### `[[%s]]`\n\n", name)
			rows(t, &out, reflect.New(field.Type().Elem()).Elem(), "", name)
		default:
			fmt.Fprintf(&out, "\n### `[%s]`\n\n", name)
			rows(t, &out, field, name, "")
		}
	}
	fmt.Fprintf(&out, "\n### Not built yet\n\nThese are errors that say so:\n\n")
	for _, key := range slices.Sorted(maps.Keys(later)) {
		fmt.Fprintf(&out, "- `%s`: %s\n", key, later[key])
	}
	out.WriteByte('\n')
	return out.String()
}

// rows writes a table of the keys of one table of the file. Keys of a table in
// a list have no variable: table is "" then, and list its name.
func rows(t *testing.T, out *bytes.Buffer, v reflect.Value, table, list string) {
	t.Helper()
	fmt.Fprintf(out, "| Key | Type | Default | Takes effect | Meaning |\n|---|---|---|---|---|\n")
	var inner []reflect.StructField
	for _, f := range keysOf(v.Type()) {
		key, doc := f.Tag.Get("toml"), f.Tag.Get("doc")
		effect, ok := map[string]string{
			"live": "at once", "new": "new connections", "restart": "restart",
		}[f.Tag.Get("reload")]
		if doc == "" || !ok {
			t.Errorf("%s%s.%s: every key needs the tags doc and reload", table, list, key)
		}
		if isTables(f.Type) {
			inner = append(inner, f)
		}
		fmt.Fprintf(out, "| `%s` | %s | %s | %s | %s |\n", key, typeName(f.Type), value(v.FieldByIndex(f.Index)), effect, strings.ReplaceAll(doc, "|", `\|`))
	}
	for _, f := range inner {
		key := table + "." + f.Tag.Get("toml")
		fmt.Fprintf(out, "\nEach element of `%s`:\n\n", key)
		rows(t, out, reflect.New(f.Type.Elem()).Elem(), "", key)
	}
}

func typeName(t reflect.Type) string {
	switch {
	case t == secretType, t == reflect.TypeFor[NTHash]():
		return "secret"
	case t == secretsType:
		return "secret, or a list"
	case t == durationType:
		return "duration"
	case isTables(t):
		return "list of tables"
	case t.Kind() == reflect.Slice:
		return "list of strings"
	case isText(t):
		return "string"
	}
	return map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "number"}[t.Kind()]
}

// value writes a default as TOML does; nothing means none.
func value(v reflect.Value) string {
	switch {
	case v.Type() == secretType, v.Type() == secretsType, isTables(v.Type()):
		return ""
	case v.Kind() == reflect.Slice:
		quoted := make([]string, v.Len())
		for i := range quoted {
			quoted[i] = fmt.Sprintf("%q", fmt.Sprint(v.Index(i)))
		}
		return "`[" + strings.Join(quoted, ", ") + "]`"
	case v.Kind() == reflect.Bool, v.Kind() == reflect.Int:
		return fmt.Sprintf("`%v`", v)
	case v.IsZero() && v.Type() != durationType:
		return ""
	}
	return fmt.Sprintf("`%q`", fmt.Sprint(v))
}
