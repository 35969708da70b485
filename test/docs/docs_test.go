// Package docs tests what the documents say against the code.
package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/ipsec"
)

const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// documents are the names of all Markdown files.
func documents(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "out") {
			return fs.SkipDir
		}
		if filepath.Ext(name) == ".md" {
			names = append(names, name)
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	return names
}

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	for _, name := range documents(t) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A test that a document names as proof is there.
func TestProofsExist(t *testing.T) {
	there := map[string]bool{}
	for _, pattern := range []string{"test/*/*_test.go", "*/*_test.go", "*/*/*_test.go"} {
		for _, file := range parse(t, pattern) {
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					there[f.Name.Name] = true
				}
			}
		}
	}
	named := regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]+)`").FindAllStringSubmatch(read(t, "docs/clients.md"), -1)
	if len(named) < 20 {
		t.Errorf("%d tests are named as proof", len(named))
	}
	for _, m := range named {
		if !there[m[1]] {
			t.Errorf("there is no %s", m[1])
		}
	}
}

// Every line that the server logs is explained.
func TestEveryLogLineIsInTroubleshooting(t *testing.T) {
	text := read(t, "docs/troubleshooting.md")
	messages := 0
	for _, file := range parse(t, "internal/app/*.go") {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, method.Sel.Name) {
				return true
			}
			message, ok := literal(call.Args[0])
			if !ok {
				return true
			}
			messages++
			if !strings.Contains(text, "`"+message+"`") {
				t.Errorf("docs/troubleshooting.md does not explain `%s`", message)
			}
			return true
		})
	}
	if messages < 20 {
		t.Errorf("only %d messages were found: this test looks for them in the wrong way", messages)
	}
}

// Every reason for which the server drops packets is explained.
func TestEveryDropIsInTroubleshooting(t *testing.T) {
	text := read(t, "docs/troubleshooting.md")
	for d := range dataplane.Drop(dataplane.NumDrops) {
		if d != dataplane.DropESP(ipsec.DropNone) && !strings.Contains(text, "`"+d.String()+"`") {
			t.Errorf("docs/troubleshooting.md does not explain `%v`", d)
		}
	}
}

// The table of ARCHITECTURE.md is the one that test/imports asserts.
func TestImportTable(t *testing.T) {
	text := read(t, "ARCHITECTURE.md")
	_, rest, ok := strings.Cut(text, "<!-- imports -->")
	table, _, ok2 := strings.Cut(rest, "<!-- end of imports -->")
	if !ok || !ok2 {
		t.Fatal("ARCHITECTURE.md has no table of imports")
	}
	name := regexp.MustCompile("`([^`]+)`")
	said := map[string][]string{}
	for line := range strings.Lines(table) {
		columns := strings.Split(line, "|")
		if len(columns) != 5 || !strings.Contains(columns[1], "`") {
			continue
		}
		imports := []string{}
		for _, m := range name.FindAllStringSubmatch(columns[3], -1) {
			imports = append(imports, m[1])
		}
		slices.Sort(imports)
		said[name.FindStringSubmatch(columns[1])[1]] = imports
	}
	for pkg, imports := range asserted(t) {
		slices.Sort(imports)
		got, ok := said[pkg]
		if !ok {
			t.Errorf("%s is missing in ARCHITECTURE.md", pkg)
		} else if !slices.Equal(got, imports) {
			t.Errorf("%s may import %q, and ARCHITECTURE.md says %q", pkg, imports, got)
		}
		delete(said, pkg)
	}
	for pkg := range said {
		t.Errorf("%s is in ARCHITECTURE.md alone", pkg)
	}
}

// asserted reads the table of test/imports.
func asserted(t *testing.T) map[string][]string {
	t.Helper()
	allowed := map[string][]string{}
	for _, file := range parse(t, "test/imports/*_test.go") {
		ast.Inspect(file, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || v.Names[0].Name != "allowed" || len(v.Values) != 1 {
				return true
			}
			for _, e := range v.Values[0].(*ast.CompositeLit).Elts {
				pair := e.(*ast.KeyValueExpr)
				pkg, _ := literal(pair.Key)
				allowed[pkg] = nil
				for _, i := range pair.Value.(*ast.CompositeLit).Elts {
					name, _ := literal(i)
					allowed[pkg] = append(allowed[pkg], name)
				}
			}
			return false
		})
	}
	if len(allowed) == 0 {
		t.Fatal("test/imports has no table")
	}
	return allowed
}

// Variables that the documents name are variables of the configuration.
func TestVariablesExist(t *testing.T) {
	source := read(t, "conf/environment.go") + read(t, "conf/image.go")
	keys := read(t, "docs/configuration.md")
	variable := regexp.MustCompile(`\b(ADIT|VPN)_[A-Z0-9_]+\b`)
	for _, name := range append(documents(t), filepath.Join(root, "deploy/env.example"), filepath.Join(root, "docker-compose.yml")) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range variable.FindAllString(string(b), -1) {
			if !known(v, source, keys) {
				t.Errorf("%s names %s, which means nothing", name, v)
			}
		}
	}
}

// known reports whether a variable is read by name, or is a key's of the
// reference.
func known(variable, source, reference string) bool {
	if strings.HasPrefix(variable, "ADIT_TEST_") || strings.Contains(source, strconv.Quote(variable)) {
		return true
	}
	table, key, ok := strings.Cut(strings.ToLower(strings.TrimPrefix(variable, "ADIT_")), "_")
	_, section, ok2 := strings.Cut(reference, fmt.Sprintf("### `[%s]`", table))
	section, _, _ = strings.Cut(section, "\n###")
	return ok && ok2 && strings.Contains(section, "| `"+key+"` |")
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// parse reads the Go files that match, without tests of a package itself.
func parse(t *testing.T, pattern string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(pattern, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}
