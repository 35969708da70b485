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
	within := "" // the delimiter of a string that goes on
	for i, line := range strings.Split(text, "\n") {
		before := within
		within = stringAfter(line, before)
		if before != "" {
			continue
		}
		line = strings.TrimSpace(line)
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

// stringAfter is the delimiter of the multi-line string that goes on after a line, "" if
// none does; before is that of the one that the line begins in.
func stringAfter(line, before string) string {
	within := before
	for line != "" {
		switch {
		case within != "" && strings.HasPrefix(line, within):
			line, within = line[len(within):], ""
		case within != "" && within[0] == '"' && line[0] == '\\' && len(line) > 1:
			line = line[2:] // what is escaped ends nothing
		case within != "":
			line = line[1:]
		case line[0] == '#':
			return ""
		case line[0] == '"' || line[0] == '\'':
			if within = strings.Repeat(line[:1], 3); !strings.HasPrefix(line, within) {
				within = line[:1]
			}
			line = line[len(within):]
		default:
			line = line[1:]
		}
	}
	if len(within) < 3 {
		return "" // a string of one line ends with it
	}
	return within
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
