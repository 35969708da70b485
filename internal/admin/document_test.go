package admin

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// docs/control.md names every path and every field of what is sent, and says
// which are left out when they are empty.
func TestTheDocumentIsWhatIsServed(t *testing.T) {
	b, err := os.ReadFile("../../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	_, status, ok := strings.Cut(string(b), "## `GET /v1/status`")
	status, disconnect, ok2 := strings.Cut(status, "## `POST /v1/disconnect`")
	disconnect, reload, ok3 := strings.Cut(disconnect, "## `POST /v1/reload`")
	server, session, ok4 := strings.Cut(status, "Each session:")
	session, servers, ok7 := strings.Cut(session, "Each service of a RADIUS server")
	reload, link, ok5 := strings.Cut(reload, "## `GET /v1/links`")
	link, order, ok6 := strings.Cut(link, "## `POST /v1/link`")
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || !ok7 {
		t.Fatal("docs/control.md has no part for each path")
	}
	for _, part := range []struct {
		text string
		of   reflect.Type
	}{
		{server, reflect.TypeFor[Status]()}, {session, reflect.TypeFor[Session]()}, {servers, reflect.TypeFor[RadiusServer]()}, {disconnect, reflect.TypeFor[Selector]()}, {reload, reflect.TypeFor[Reloaded]()},
		{link, reflect.TypeFor[Link]()}, {order, reflect.TypeFor[LinkOrder]()},
	} {
		rows := map[string]string{} // the meaning, by field
		for line := range strings.Lines(part.text) {
			cells := strings.Split(line, "|")
			if len(cells) == 4 && strings.Contains(cells[1], "`") {
				for name := range strings.SplitSeq(cells[1], ",") {
					rows[strings.Trim(name, " `")] = strings.TrimSpace(cells[2])
				}
			}
		}
		for field := range part.of.Fields() {
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			meaning, ok := rows[name]
			if !ok {
				t.Errorf("%v: %s is not in docs/control.md", part.of, name)
			}
			asked := part.of == reflect.TypeFor[Selector]() // is sent, and may leave out all of it
			if left := strings.HasPrefix(meaning, "if any"); left != (options == "omitempty") && !asked {
				t.Errorf("%v: docs/control.md says that %s may be left out: %v", part.of, name, left)
			}
			delete(rows, name)
		}
		for name := range rows {
			t.Errorf("%v has no field %s", part.of, name)
		}
	}
	if !strings.Contains(disconnect, "`{\"connections\": ") {
		t.Error("the answer of a disconnect is not in docs/control.md")
	}
}
