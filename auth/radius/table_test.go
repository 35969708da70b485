package radius

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the table of docs/radius.md anew")

const (
	tableFile  = "../../docs/radius.md"
	tableBegin = "<!-- begin of the table: go test ./auth/radius -run Table -rewrite -->\n"
	tableEnd   = "<!-- end of the table -->\n"
)

// The document says of every attribute what the code does with it.
func TestTableOfTheDocument(t *testing.T) {
	b, err := os.ReadFile(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), tableBegin)
	_, tail, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", tableFile)
	}
	var rows strings.Builder
	rows.WriteString("| Attribute of an Access-Accept | Number | Effect |\n|---|---|---|\n")
	for i := range attributes {
		a := &attributes[i]
		fmt.Fprintf(&rows, "| %s | %v | %s |\n", a.name, key{a.vendor, a.number}, strings.ReplaceAll(a.fate, "|", `\|`))
	}
	want := head + tableBegin + rows.String() + tableEnd + tail
	if want == string(b) {
		return
	}
	if !*rewrite {
		t.Fatalf("%s says something else than the code: go test ./auth/radius -run Table -rewrite", tableFile)
	}
	if err := os.WriteFile(tableFile, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every attribute has a name and a sentence, and is there once; what has no effect says so.
func TestTableIsSound(t *testing.T) {
	if len(known) != len(attributes) {
		t.Errorf("%d attributes have %d numbers", len(attributes), len(known))
	}
	for i := range attributes {
		a := &attributes[i]
		if a.name == "" || a.fate == "" || a.must && a.read == nil || a.ignored && a.read != nil {
			t.Errorf("%+v", a)
		}
		if says := strings.HasPrefix(a.fate, "not honoured: "); says != a.ignored {
			t.Errorf("%s: it says %q", a.name, a.fate)
		}
	}
}
