package imports

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// reading matches the functions that read an address, a network, a range or a word
// from a text. internal/app calls none of them.
var reading = regexp.MustCompile(`^(Must)?Parse(Addr|AddrPort|Prefix|CIDR|IP|MAC|Range|Service|Suites|Method|Level|Duration)$|^SplitHostPort$|^UnmarshalText$`)

// product calls f with every file of product code below a directory.
func product(t *testing.T, dir string, f func(name string, file *ast.File, at func(ast.Node) token.Position)) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(filepath.Join("../..", dir), func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "test" || d.Name() == ".git" || d.Name() == "gen" || d.Name() == "bin"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		seen++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err == nil {
			f(name, file, func(n ast.Node) token.Position { return set.Position(n.Pos()) })
		}
		return err
	})
	if err != nil || seen == 0 {
		t.Fatalf("%d files, %v", seen, err)
	}
}

// reads reports whether an expression is a call that reads a text.
func reads(e ast.Node) (name string, yes bool) {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return "", false
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	return selector.Sel.Name, reading.MatchString(selector.Sel.Name)
}

// conf reads the configuration once. internal/app translates it without parsing,
// and so has no error to ignore. The exception leases.go reads a file of the state
// directory, which is not configuration.
func TestTheServerReadsNoTextOfTheConfiguration(t *testing.T) {
	product(t, "internal/app", func(name string, file *ast.File, at func(ast.Node) token.Position) {
		ast.Inspect(file, func(n ast.Node) bool {
			if what, yes := reads(n); yes && filepath.Base(name) != "leases.go" {
				t.Errorf("%v: %s reads a text: give the key of conf a type that does", at(n), what)
			}
			return true
		})
	})
}

// Code that reads an address, a network or a word checks the error.
func TestErrorsOfReadingAreLookedAt(t *testing.T) {
	product(t, ".", func(_ string, file *ast.File, at func(ast.Node) token.Position) {
		ast.Inspect(file, func(n ast.Node) bool {
			var call ast.Node
			dropped := false
			switch s := n.(type) {
			case *ast.ExprStmt:
				call, dropped = s.X, true
			case *ast.AssignStmt:
				if len(s.Rhs) != 1 {
					return true
				}
				last, ok := s.Lhs[len(s.Lhs)-1].(*ast.Ident)
				call, dropped = s.Rhs[0], ok && last.Name == "_"
			}
			if what, yes := reads(call); yes && dropped {
				t.Errorf("%v: the error of %s is dropped", at(n), what)
			}
			return true
		})
	})
}
