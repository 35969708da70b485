package report

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestMedianAndRange(t *testing.T) {
	for _, c := range []struct {
		samples           []float64
		median, low, high float64
		text              string
	}{
		{[]float64{3}, 3, 3, 3, "3.00 s"},
		{[]float64{9, 1, 2}, 2, 1, 9, "2.00 (1.00–9.00) s"},
		{[]float64{4, 1, 2, 3}, 2.5, 1, 4, "2.50 (1.00–4.00) s"},
		{[]float64{1.001, 1.002, 1.003}, 1.002, 1.001, 1.003, "1.00 s"},
	} {
		f := &Figure{Unit: "s", Samples: c.samples}
		low, high := f.Range()
		if f.Median() != c.median || low != c.low || high != c.high || f.String() != c.text {
			t.Errorf("%v: %v, %v to %v, %q", c.samples, f.Median(), low, high, f)
		}
	}
	none := &Figure{Why: "no such program"}
	if !math.IsNaN(none.Median()) || none.String() != "not measured: no such program" {
		t.Errorf("without samples: %v, %q", none.Median(), none)
	}
}

func TestNumbersHaveTheDigitsThatCount(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1234.5: "1235", 123.4: "123", 12.345: "12.3", 1.2345: "1.23", 0.1234: "0.12", 0.01234: "0.012", 9.999: "10.0", 99.99: "100", 0.0999: "0.10", 0.00012: "0.00012",
	} {
		if got := number(v); got != want {
			t.Errorf("%v is written %s, not %s", v, got, want)
		}
	}
}

func TestRatioIsTakenSampleBySample(t *testing.T) {
	of := &Figure{Samples: []float64{2, 8, 30, 7}}
	by := &Figure{Samples: []float64{1, 2, 10}}
	f := Ratio("k", "n", of, by)
	if got := f.Samples; len(got) != 3 || got[0] != 2 || got[1] != 4 || got[2] != 3 || f.Median() != 3 {
		t.Errorf("%v", got)
	}
	if f := Ratio("k", "n", of, &Figure{Why: "it did not start"}); f.String() != "not measured: it did not start" {
		t.Errorf("%v", f)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		v         float64
		must, aim Bound
		want      string
	}{
		{1.1, AtMost(1.6), AtMost(1.2), "aim"},
		{1.2, AtMost(1.6), AtMost(1.2), "aim"},
		{1.5, AtMost(1.6), AtMost(1.2), "must"},
		{1.7, AtMost(1.6), AtMost(1.2), "**no**"},
		{6, AtLeast(4), AtLeast(5), "aim"},
		{4, AtLeast(4), AtLeast(5), "must"},
		{3, AtLeast(4), AtLeast(5), "**no**"},
		{0, AtMost(0), AtMost(0), "aim"},
		{0.001, AtMost(0), AtMost(0), "**no**"},
		{2, Bound{}, AtMost(1), "no"},
		{2, Bound{}, Bound{}, ""},
	} {
		f := &Figure{Samples: []float64{c.v}, Must: c.must, Aim: c.aim}
		if got := f.Verdict(); got != c.want {
			t.Errorf("%v, must %q, aim %q: %q, want %q", c.v, c.must.Text(""), c.aim.Text(""), got, c.want)
		}
	}
	absent := &Figure{Why: "x", Must: AtMost(1), Aim: AtMost(1)}
	if got := absent.Verdict(); got != "" {
		t.Errorf("what was not measured is judged %q", got)
	}
}

func example() *Report {
	r := &Report{Machine: "a machine"}
	for _, v := range []float64{1.5, 1.4, 1.7} {
		r.Sample("bulk/a/up/cost", "a, up", "CPU s/GB", v)
	}
	r.Goal(&Figure{Key: "goal/a", Name: "a", Unit: "U", Samples: []float64{1.5}}, AtMost(1.6), AtMost(1.2))
	r.Goal(&Figure{Key: "goal/b", Name: "b", Why: "b | is not\ninstalled"}, AtLeast(4), AtLeast(5))
	r.Tables = append(r.Tables, Table{Title: "More", Text: "How.", Header: []string{"", "x"}, Rows: [][]string{{"a", "1"}}})
	return r
}

func TestMarkdown(t *testing.T) {
	var b strings.Builder
	example().Markdown(&b)
	want := `a machine

### What it is to reach, and reaches

Must and aim are bounds of the project's own, and Within is which of them the median keeps. U is the processor time of openssl for as many bytes: its row is below.

| Figure | Measured | Must | Aim | Within |
|---|---|---|---|---|
| a | 1.50 U | ≤ 1.6 U | ≤ 1.2 U | must |
| b | not measured: b \| is not installed | ≥ 4 | ≥ 5 |  |

### More

How.

|  | x |
|---|---|
| a | 1 |
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestJSONHasEverySample(t *testing.T) {
	var b bytes.Buffer
	if err := example().JSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Machine string
		Figures []struct {
			Key     string
			Median  *float64
			Samples []float64
			Must    string
			Within  string
			Why     string `json:"not_measured"`
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Machine != "a machine" || len(got.Figures) != 3 {
		t.Fatalf("%+v", got)
	}
	cost, a, absent := got.Figures[0], got.Figures[1], got.Figures[2]
	if cost.Key != "bulk/a/up/cost" || len(cost.Samples) != 3 || cost.Median == nil || *cost.Median != 1.5 {
		t.Errorf("%+v", cost)
	}
	if a.Must != "≤ 1.6 U" || a.Within != "must" {
		t.Errorf("%+v", a)
	}
	if absent.Median != nil || absent.Why == "" {
		t.Errorf("%+v", absent)
	}
}

func TestWhatIsNotThereSaysWhy(t *testing.T) {
	r := example()
	if f := r.Get("bulk/a/up/cost"); f.Median() != 1.5 {
		t.Errorf("%v", f)
	}
	if f := r.Get("nothing"); f.Why == "" || r.Find("nothing") != nil {
		t.Errorf("%v", f)
	}
}
