package imports

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// The longest that a file and a function may be, in lines, so that each is
// understood in one reading.
const (
	fileLines     = 400
	functionLines = 60
)

// tables are functions that may be longer, because they are tables with a line or
// two for each case.
var tables = map[string]bool{
	"internal/hostnet/walk.go: rule": true, // what each nftables expression does
}

func TestFilesAndFunctionsOfTheProductAreShort(t *testing.T) {
	const root = "../.."
	files, long := 0, map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "test" || strings.HasPrefix(d.Name(), ".") && name != "."):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		files++
		line := func(p token.Pos) int { return set.Position(p).Line }
		if n := set.File(parsed.Pos()).LineCount(); n > fileLines+1 { // the last line ends with a line feed
			t.Errorf("%s has %d lines, and %d are the most", name, n-1, fileLines)
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || line(f.End())-line(f.Pos()) < functionLines {
				continue
			}
			where := name + ": " + f.Name.Name
			if long[where] = true; !tables[where] {
				t.Errorf("%s has %d lines, and %d are the most where a function is not a table", where, line(f.End())-line(f.Pos())+1, functionLines)
			}
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Fatalf("%d files were read: %v", files, err)
	}
	for where := range tables {
		if !long[where] {
			t.Errorf("%s is not a long table any more", where)
		}
	}
}

// screen is the longest that a declaration may be, in lines, to be read on one
// screen.
const screen = 45

// The state of a connection and of a server consists of a few named parts.
func TestAConnectionAndAServerFitAScreen(t *testing.T) {
	for name, file := range map[string]string{"Conn": "internal/vpn/conn.go", "Server": "internal/vpn/server.go"} {
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, filepath.Join("../..", file), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				return true
			}
			_, found = spec.Type.(*ast.StructType)
			if n := set.Position(spec.End()).Line - set.Position(spec.Pos()).Line + 1; n > screen {
				t.Errorf("%s of %s has %d lines, and %d are the most: give what belongs together a type of its own, in the file that owns it", name, file, n, screen)
			}
			return false
		})
		if !found {
			t.Errorf("%s has no struct %s: say here where it is", file, name)
		}
	}
}
