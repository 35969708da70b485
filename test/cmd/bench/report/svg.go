package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// Chart is a chart of horizontal bars, one or two in each row.
type Chart struct {
	Title, Note string   // printed above and below
	Series      []string // the meanings of the bars in a row; at most two
	Rows        []Row
	Mark        float64 // where a line is drawn; 0 or NaN: no line
	MarkName    string
}

// Row is a row of bars.
type Row struct {
	Name   string
	Values []float64 // one of each series; NaN: not measured
}

// The measures of a chart, in pixels.
const (
	chartWidth  = 760
	nameWidth   = 210
	valueWidth  = 60 // for the value right of the longest bar
	barWidth    = chartWidth - nameWidth - valueWidth
	barHeight   = 13
	rowGap      = 11
	chartTop    = 62
	chartBottom = 40
)

// style makes a chart readable on a light page and on a dark one.
const style = `
text { font: 13px -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.small { font-size: 11px; fill: #59636e; }
.s0 { fill: #0969da; }
.s1 { fill: #54aeff; }
.mark { stroke: #59636e; stroke-width: 1; stroke-dasharray: 4 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .small { fill: #9198a1; }
  .s0 { fill: #58a6ff; }
  .s1 { fill: #1f6feb; }
  .mark { stroke: #9198a1; }
}
`

// SVG draws the chart. The bars begin at zero and are as long as their values.
func (c *Chart) SVG(w io.Writer) error {
	mark := c.Mark
	if math.IsNaN(mark) {
		mark = 0
	}
	longest := mark
	for _, r := range c.Rows {
		for _, v := range r.Values {
			if !math.IsNaN(v) {
				longest = max(longest, v)
			}
		}
	}
	scale := func(v float64) float64 {
		if longest == 0 {
			return 0
		}
		return barWidth * v / longest
	}
	rowHeight := barHeight*len(c.Series) + rowGap
	bottom := chartTop + rowHeight*len(c.Rows)
	height := bottom + chartBottom

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-label="%s">`+"\n",
		chartWidth, height, escape(c.Title))
	fmt.Fprintf(&b, "<style>%s</style>\n", style)
	text(&b, 4, 18, "title", "start", c.Title)
	x := float64(nameWidth)
	for i, s := range c.Series {
		fmt.Fprintf(&b, `<rect class="s%d" x="%.0f" y="34" width="11" height="11"/>`+"\n", i, x)
		text(&b, x+16, 44, "", "start", s)
		x += 90
	}
	for i, r := range c.Rows {
		y := chartTop + rowHeight*i
		text(&b, nameWidth-10, float64(y+barHeight*len(c.Series)/2+5), "", "end", r.Name)
		for j, v := range r.Values {
			at := float64(y + barHeight*j)
			if math.IsNaN(v) {
				text(&b, nameWidth+4, at+11, "small", "start", "not measured")
				continue
			}
			fmt.Fprintf(&b, `<rect class="s%d" x="%d" y="%.0f" width="%.1f" height="%d"/>`+"\n", j, nameWidth, at, scale(v), barHeight-1)
			text(&b, nameWidth+scale(v)+5, at+11, "small", "start", number(v))
		}
	}
	if mark > 0 {
		x := nameWidth + scale(mark)
		fmt.Fprintf(&b, `<line class="mark" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`+"\n", x, chartTop-6, x, bottom-4)
		text(&b, x, float64(bottom+10), "small", "start", c.MarkName)
	}
	text(&b, 4, float64(height-8), "small", "start", c.Note)
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func text(b *strings.Builder, x, y float64, class, anchor, s string) {
	if class != "" {
		class = ` class="` + class + `"`
	}
	fmt.Fprintf(b, `<text%s x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, escape(s))
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // writing to a Builder never fails
	return b.String()
}
