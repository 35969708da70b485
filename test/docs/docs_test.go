// Package docs tests that what the documents say agrees with the code.
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

// Every test that a document names as proof exists.
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
	for name, least := range map[string]int{"docs/clients.md": 20, "SECURITY.md": 30} {
		named := regexp.MustCompile("`(Test[A-Z][A-Za-z0-9_]+)`").FindAllStringSubmatch(read(t, name), -1)
		if len(named) < least {
			t.Errorf("%d tests are named as proof in %s", len(named), name)
		}
		for _, m := range named {
			if !there[m[1]] {
				t.Errorf("%s: there is no %s", name, m[1])
			}
		}
	}
}

// What SECURITY.md says is measured really is: the test files that it names exist,
// and so do the rows of the siege.
func TestMeasurementsOfSecurityExist(t *testing.T) {
	text := read(t, "SECURITY.md")
	files := regexp.MustCompile("`([a-z0-9/_]+_test\\.go)`").FindAllStringSubmatch(text, -1)
	if len(files) < 5 {
		t.Errorf("%d files of tests are named", len(files))
	}
	for _, m := range files {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Error(err)
		}
	}
	siege := read(t, "test/cmd/siege/rows.go") + read(t, "test/cmd/siege/holders.go")
	cells := regexp.MustCompile(`rows? (("?`+"`[^`]+`"+`(, )?)+)`).FindAllStringSubmatch(text, -1)
	rows := 0
	for _, cell := range cells {
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell[1], -1) {
			rows++
			if !strings.Contains(siege, `name: "`+m[1]+`"`) {
				t.Errorf("make siege has no row %q", m[1])
			}
		}
	}
	if rows < 10 {
		t.Errorf("%d rows of the siege are named", rows)
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

// The table of ARCHITECTURE.md is the same as the one that test/imports asserts.
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

// Environment variables that the documents name exist in the configuration.
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

// known reports whether the code reads a variable by its name, or the reference
// has a key for it.
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

// parse reads the Go files that match, except the tests inside packages.
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

// The example of how a key is added is real: each of its lines is in the code.
func TestTheExampleOfAKeyStandsInTheCode(t *testing.T) {
	_, section, ok := strings.Cut(read(t, "CONTRIBUTING.md"), "## Adding a key to the configuration\n")
	section, _, ok2 := strings.Cut(section, "\n## ")
	if !ok || !ok2 {
		t.Fatal("CONTRIBUTING.md does not say how a key is added")
	}
	spaces := regexp.MustCompile(`\s+`)
	code := ""
	for _, dir := range []string{"conf", "internal/app"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code += spaces.ReplaceAllString(string(b), " ")
		}
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) < 4 {
		t.Errorf("it shows %d pieces of code, want the field, its use, a type and a bound", len(blocks))
	}
	for _, b := range blocks {
		if text := strings.TrimSpace(spaces.ReplaceAllString(b[1], " ")); !strings.Contains(code, text) {
			t.Errorf("no such code:\n%s", b[1])
		}
	}
}
