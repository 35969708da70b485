package docs

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// What docs/radius.md says that the log says of a mistake stands in the code, word by word.
func TestWhatTheLogSaysOfMistakesIsInTheCode(t *testing.T) {
	var texts []string
	for _, pattern := range []string{"auth/radius/*.go", "internal/app/*.go", "internal/session/*.go", "internal/pool/*.go"} {
		for _, file := range parse(t, pattern) {
			ast.Inspect(file, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					if text, ok := joined(e); ok {
						texts = append(texts, text)
					}
				}
				return true
			})
		}
	}
	_, section, ok := strings.Cut(read(t, "docs/radius.md"), "## Twenty mistakes\n")
	if !ok {
		t.Fatal("docs/radius.md has no section of mistakes")
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+)\. .* \| (.*) \|$`).FindAllStringSubmatch(section, -1)
	if len(rows) != 20 {
		t.Errorf("there are %d mistakes", len(rows))
	}
	verb := regexp.MustCompile(`%[-+#.0-9]*[a-zA-Z]`)
	for _, row := range rows {
		for _, said := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[2], -1) {
			want := strings.TrimSuffix(said[1], "…")
			found := false
			for _, text := range texts {
				found = found || strings.Contains(verb.ReplaceAllString(text, "…"), want)
			}
			if !found {
				t.Errorf("mistake %s: the code does not say %q", row[1], said[1])
			}
		}
	}
}

// joined is a string that the code writes, perhaps in parts.
func joined(e ast.Expr) (string, bool) {
	if sum, ok := e.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
		x, ok := joined(sum.X)
		y, ok2 := joined(sum.Y)
		return x + y, ok && ok2
	}
	return literal(e)
}
