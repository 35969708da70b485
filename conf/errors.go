package conf

import (
	"fmt"
	"sort"
	"strings"
)

// Error is one thing that is wrong with a configuration.
type Error struct {
	File string // "" if it came from the environment
	Line int    // 0 if the key is not in the file
	Key  string // as in "ipsec.psk" or "user[2].name"
	Text string // what is wrong and what to do
}

func (e *Error) Error() string {
	where := ""
	switch {
	case e.File != "" && e.Line > 0:
		where = fmt.Sprintf("%s:%d: ", e.File, e.Line)
	case e.File != "":
		where = e.File + ": "
	}
	if e.Key == "" {
		return where + e.Text
	}
	return where + e.Key + ": " + e.Text
}

// Errors are all that is wrong, in the order of the files.
type Errors []*Error

func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

func (es Errors) sorted() Errors {
	sort.SliceStable(es, func(i, j int) bool {
		if es[i].File != es[j].File {
			return es[i].File < es[j].File
		}
		return es[i].Line < es[j].Line
	})
	return es
}
