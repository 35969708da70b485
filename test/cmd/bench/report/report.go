package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Report is what one run measured.
type Report struct {
	Machine string // the machine on which it ran
	Notes   []string
	Goals   []*Figure // those with bounds, which form the first table
	Tables  []Table   // the details

	figures []*Figure
}

// Table is printed unchanged.
type Table struct {
	Title, Text string // Text is printed above the table
	Header      []string
	Rows        [][]string
}

// Add stores a figure, for JSON and Find.
func (r *Report) Add(f *Figure) *Figure {
	r.figures = append(r.figures, f)
	return f
}

// Sample adds a sample to a figure. The figure is made if it does not exist.
func (r *Report) Sample(key, name, unit string, v float64) *Figure {
	f := r.Find(key)
	if f == nil {
		f = r.Add(&Figure{Key: key, Name: name, Unit: unit})
	}
	f.Samples = append(f.Samples, v)
	return f
}

// Find returns a figure, nil if there is none.
func (r *Report) Find(key string) *Figure {
	for _, f := range r.figures {
		if f.Key == key {
			return f
		}
	}
	return nil
}

const notPart = "not part of this run"

// Get is Find, but for a figure that does not exist it returns one that says so.
func (r *Report) Get(key string) *Figure {
	if f := r.Find(key); f != nil {
		return f
	}
	return &Figure{Key: key, Why: notPart}
}

// Goal adds a figure with bounds to the first table.
func (r *Report) Goal(f *Figure, must, aim Bound) {
	f.Must, f.Aim = must, aim
	r.Goals = append(r.Goals, r.Add(f))
}

// Markdown writes everything.
func (r *Report) Markdown(w io.Writer) {
	fmt.Fprintf(w, "%s\n", r.Machine)
	for _, n := range r.Notes {
		fmt.Fprintf(w, "\n%s\n", n)
	}
	goals := Table{
		Title:  "What it is to reach, and reaches",
		Text:   "Must and aim are bounds of the project's own, and Within is which of them the median keeps. U is the processor time of openssl for as many bytes: its row is below.",
		Header: []string{"Figure", "Measured", "Must", "Aim", "Within"},
	}
	for _, f := range r.Goals {
		if f.Why != notPart {
			goals.Rows = append(goals.Rows, []string{f.Name, f.String(), f.Must.Text(f.Unit), f.Aim.Text(f.Unit), f.Verdict()})
		}
	}
	if len(goals.Rows) > 0 {
		goals.write(w)
	}
	for _, t := range r.Tables {
		t.write(w)
	}
}

func (t *Table) write(w io.Writer) {
	if t.Title != "" {
		fmt.Fprintf(w, "\n### %s\n", t.Title)
	}
	if t.Text != "" {
		fmt.Fprintf(w, "\n%s\n", t.Text)
	}
	line := func(cells []string) {
		fmt.Fprint(w, "|")
		for _, c := range cells {
			fmt.Fprintf(w, " %s |", strings.NewReplacer("|", "\\|", "\n", " ").Replace(c))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
	line(t.Header)
	fmt.Fprintln(w, strings.Repeat("|---", len(t.Header))+"|")
	for _, r := range t.Rows {
		line(r)
	}
}

// JSON writes every figure, with all samples.
func (r *Report) JSON(w io.Writer) error {
	type figure struct {
		Key     string    `json:"key"`
		Name    string    `json:"name,omitempty"`
		Unit    string    `json:"unit,omitempty"`
		Median  *float64  `json:"median,omitempty"`
		Low     *float64  `json:"low,omitempty"`
		High    *float64  `json:"high,omitempty"`
		Samples []float64 `json:"samples,omitempty"`
		Why     string    `json:"not_measured,omitempty"`
		Must    string    `json:"must,omitempty"`
		Aim     string    `json:"aim,omitempty"`
		Within  string    `json:"within,omitempty"`
		How     string    `json:"how,omitempty"`
	}
	var all []figure
	for _, f := range r.figures {
		j := figure{
			Key: f.Key, Name: f.Name, Unit: f.Unit, Samples: f.Samples, Why: f.Why, How: f.How,
			Must: f.Must.Text(f.Unit), Aim: f.Aim.Text(f.Unit), Within: strings.Trim(f.Verdict(), "*"),
		}
		if len(f.Samples) > 0 {
			m := f.Median()
			low, high := f.Range()
			j.Median, j.Low, j.High = &m, &low, &high
		}
		all = append(all, j)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		Machine string   `json:"machine"`
		Notes   []string `json:"notes,omitempty"`
		Figures []figure `json:"figures"`
	}{r.Machine, r.Notes, all})
}
