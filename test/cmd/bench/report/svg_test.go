package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

// bar is a rectangle of a chart.
type bar struct {
	class string
	width float64
}

// read parses an SVG and returns its bars and texts.
func read(t *testing.T, svg string) (bars []bar, texts []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	inText := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return bars, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			inText = e.Name.Local == "text"
			if e.Name.Local != "rect" {
				continue
			}
			var b bar
			for _, a := range e.Attr {
				switch a.Name.Local {
				case "class":
					b.class = a.Value
				case "width":
					if b.width, err = strconv.ParseFloat(a.Value, 64); err != nil {
						t.Fatal(err)
					}
				}
			}
			bars = append(bars, b)
		case xml.CharData:
			if inText && strings.TrimSpace(string(e)) != "" {
				texts = append(texts, string(e))
			}
		case xml.EndElement:
			inText = false
		}
	}
}

func TestBarsAreAsLongAsTheirValues(t *testing.T) {
	c := &Chart{
		Title: "a & b", Note: `<note>`, Series: []string{"down", "up"}, Mark: 1, MarkName: "U",
		Rows: []Row{{"<one>", []float64{2, 4}}, {"two", []float64{math.NaN(), 8}}},
	}
	var out strings.Builder
	if err := c.SVG(&out); err != nil {
		t.Fatal(err)
	}
	bars, texts := read(t, out.String())
	bars = bars[2:] // the first two belong to the legend
	want := []bar{{"s0", 2}, {"s1", 4}, {"s1", 8}}
	if len(bars) != len(want) {
		t.Fatalf("%+v", bars)
	}
	for i, w := range want {
		if bars[i].class != w.class || math.Abs(bars[i].width-w.width*barWidth/8) > 0.1 {
			t.Errorf("bar %d is %+v", i, bars[i])
		}
	}
	all := strings.Join(texts, "\n")
	for _, s := range []string{"a & b", "<note>", "<one>", "two", "not measured", "2.00", "4.00", "8.00", "U", "down", "up"} {
		if !strings.Contains(all, s) {
			t.Errorf("the chart does not say %q", s)
		}
	}
	if strings.Contains(out.String(), "NaN") || strings.Contains(out.String(), "%!") {
		t.Error("the chart has a number that is none")
	}
	// The line for 1 is at an eighth of the longest bar, from top to bottom.
	line := fmt.Sprintf(`<line class="mark" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`,
		nameWidth+barWidth/8.0, chartTop-6, nameWidth+barWidth/8.0, chartTop+2*(2*barHeight+rowGap)-4)
	if !strings.Contains(out.String(), line) {
		t.Errorf("there is no %s in\n%s", line, out.String())
	}
}

func TestChartOfNothing(t *testing.T) {
	var out strings.Builder
	if err := (&Chart{Title: "x", Mark: math.NaN(), Series: []string{"a"}, Rows: []Row{{"r", []float64{0}}}}).SVG(&out); err != nil {
		t.Fatal(err)
	}
	if bars, _ := read(t, out.String()); len(bars) != 2 || bars[1].width != 0 {
		t.Errorf("%+v", bars)
	}
}
