package conf

import (
	"fmt"
	"strings"
)

// keyLines maps the keys of a TOML text, as in "ipsec.psk" or "user[1].name",
// to their lines. It knows tables, arrays of tables and plain keys: as much of
// TOML as a configuration of adit has at the start of a line.
func keyLines(text string) map[string]int {
	lines := map[string]int{}
	counts := map[string]int{}
	table := ""
	inString := false
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.Count(line, `"""`)%2 == 1 {
			inString = !inString
			if !inString {
				continue
			}
		} else if inString {
			continue
		}
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "[["):
			name := headerName(line, "[[", "]]")
			table = fmt.Sprintf("%s[%d].", name, counts[name])
			counts[name]++
			lines[strings.TrimSuffix(table, ".")] = i + 1
			note(lines, name, i+1)
		case line[0] == '[':
			name := headerName(line, "[", "]")
			table = name + "."
			note(lines, name, i+1)
		default:
			if key, _, ok := strings.Cut(line, "="); ok {
				note(lines, table+bare(key), i+1)
			}
		}
	}
	return lines
}

func note(lines map[string]int, key string, line int) {
	if _, ok := lines[key]; !ok {
		lines[key] = line
	}
}

func headerName(line, open, end string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(line, open), end)
	parts := strings.Split(name, ".")
	for i := range parts {
		parts[i] = bare(parts[i])
	}
	return strings.Join(parts, ".")
}

func bare(key string) string { return strings.Trim(strings.TrimSpace(key), `"'`) }
