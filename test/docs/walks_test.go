package docs

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The sections of ARCHITECTURE.md that name files and their contents, and the
// least number of names in each: if there are fewer, this test does not find them
// correctly.
var walks = map[string]struct{ files, names int }{
	"### A key's way":           {6, 7},
	"## An Access-Accept's way": {10, 14},
	"## A packet's way":         {11, 14},
	"## Where do I change …":    {50, 35},
}

// Everything that the walks and the page of changes in ARCHITECTURE.md name
// exists: each file, and each identifier in the file that is named before it.
func TestTheWalksOfArchitectureNameWhatIsThere(t *testing.T) {
	text := read(t, "ARCHITECTURE.md")
	for title, least := range walks {
		_, section, ok := strings.Cut(text, "\n"+title+"\n")
		if !ok {
			t.Errorf("ARCHITECTURE.md has no section %q", title)
			continue
		}
		section = nextTitle.Split(section, 2)[0]
		w := walk{t: t, title: title}
		for line := range strings.Lines(section) {
			if strings.HasPrefix(line, "    ") {
				w.drawn(line)
			} else {
				w.said(line)
			}
		}
		if w.files < least.files || w.names < least.names {
			t.Errorf("%q names %d files and %d identifiers, want %d and %d", title, w.files, w.names, least.files, least.names)
		}
	}
}

// walk reads a section.
type walk struct {
	t            *testing.T
	title        string
	file         string // the file that was named last
	files, names int
}

var (
	aFile        = regexp.MustCompile(`[a-zA-Z0-9_/.-]+\.(go|md)\b`)
	aCall        = regexp.MustCompile(`([A-Za-z][A-Za-z0-9]*\.)?([A-Za-z][A-Za-z0-9]*)\(`)
	aType        = regexp.MustCompile(`\b([a-z]+)\.([A-Z][A-Za-z0-9]*)\b`)
	commands     = regexp.MustCompile(`^(go test|make|adit) `)
	leads        = regexp.MustCompile(`^ +│ {1,2}\S`)
	nextTitle    = regexp.MustCompile(`\n##+ `)
	quoted       = regexp.MustCompile("`([^`]+)`")
	anIdentifier = regexp.MustCompile(`^([A-Z][A-Za-z0-9]*\.)?[A-Za-z][A-Za-z0-9]*$`)
)

// drawn reads a line of a drawing: a file and the functions in it, written
// Type.Method(), and types of packages, such as vpn.Policy. A line without a file
// connects one step to the next: its names may be in any package.
func (w *walk) drawn(line string) {
	file := aFile.FindString(line)
	if file != "" && strings.Contains(file, "/") {
		w.found(file)
		line = strings.Replace(line, file, "", 1)
	}
	for _, m := range aCall.FindAllStringSubmatch(line, -1) {
		if name := m[1] + m[2]; file == "" && leads.MatchString(line) {
			w.declaredSomewhere(name)
		} else {
			w.declared(name)
		}
	}
	for _, m := range aType.FindAllStringSubmatch(aCall.ReplaceAllString(line, ""), -1) {
		w.exported(m[1], m[2])
	}
}

// said reads a line of text. A name in backticks is a file, an identifier in the
// file before it, or something that this test recognises by its form.
func (w *walk) said(line string) {
	for _, m := range quoted.FindAllStringSubmatch(line, -1) {
		name := m[1]
		switch {
		case aFile.FindString(name) == name:
			w.found(name)
		case packages[name], commands.MatchString(name):
		case anIdentifier.MatchString(name):
			w.declared(name)
		default:
			w.t.Errorf("%q: %q is neither a file nor an identifier", w.title, name)
		}
	}
}

// packages are the packages that the text names without a file, and the key that
// the text follows.
var packages = map[string]bool{"vpn": true, "test/docs": true, "radius.interim": true}

func (w *walk) found(file string) {
	w.files++
	w.file = file
	if _, err := os.Stat(filepath.Join(root, file)); err != nil {
		w.t.Errorf("%q: %v", w.title, err)
	}
}

// declared looks for an identifier in the file that was named last.
func (w *walk) declared(name string) {
	w.names++
	if !strings.HasSuffix(w.file, ".go") {
		w.t.Errorf("%q: %q comes behind no Go file, but behind %q", w.title, name, w.file)
		return
	}
	if !declares(w.t, w.file, name) {
		w.t.Errorf("%q: %s has no %s", w.title, w.file, name)
	}
}

// declaredSomewhere looks for Type.Method in all packages.
func (w *walk) declaredSomewhere(name string) {
	w.names++
	for _, pattern := range []string{"*/*.go", "*/*/*.go"} {
		if declares(w.t, pattern, name) {
			return
		}
	}
	w.t.Errorf("%q: there is no %s", w.title, name)
}

// exported looks for an identifier in a package of that name.
func (w *walk) exported(pkg, name string) {
	w.names++
	for _, pattern := range []string{pkg + "/*.go", "internal/" + pkg + "/*.go", "auth/" + pkg + "/*.go"} {
		if declares(w.t, pattern, name) {
			return
		}
	}
	w.t.Errorf("%q: there is no %s.%s", w.title, pkg, name)
}

// declares reports whether the files that match declare a function, a method, a
// type, a field, a constant or a variable of that name. Type.Method and Type.Field
// name a member of a type.
func declares(t *testing.T, pattern, name string) (found bool) {
	t.Helper()
	owner, member, both := strings.Cut(name, ".")
	if !both {
		owner, member = "", name
	}
	is := func(of string, n *ast.Ident) { found = found || n.Name == member && (owner == "" || owner == of) }
	for _, file := range parse(t, pattern) {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				is(receiver(d), d.Name)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					inSpec(s, is)
				}
			}
		}
	}
	return found
}

// receiver is the type of a method's receiver, "" for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if p, ok := of.(*ast.StarExpr); ok {
		of = p.X
	}
	if i, ok := of.(*ast.Ident); ok {
		return i.Name
	}
	return ""
}

func inSpec(s ast.Spec, is func(of string, n *ast.Ident)) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			is("", n)
		}
	case *ast.TypeSpec:
		is("", s.Name)
		if x, ok := s.Type.(*ast.StructType); ok {
			for _, f := range x.Fields.List {
				for _, n := range f.Names {
					is(s.Name.Name, n)
				}
			}
		}
	}
}
