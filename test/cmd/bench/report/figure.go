package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Figure is one thing that was measured several times, or why it was not.
type Figure struct {
	Key     string    // its name for programs: part/contestant/…
	Name    string    // and for people
	Unit    string    // of the samples
	Samples []float64 // in the order in which they were taken
	Why     string    // there are none
	How     string    // what else is to be said

	Must, Aim Bound
}

// Median is the middle of the samples, NaN if there are none.
func (f *Figure) Median() float64 {
	s := slices.Sorted(slices.Values(f.Samples))
	switch n := len(s); {
	case n == 0:
		return math.NaN()
	case n%2 == 0:
		return (s[n/2-1] + s[n/2]) / 2
	default:
		return s[n/2]
	}
}

// Range is the smallest and the largest sample, NaN if there are none.
func (f *Figure) Range() (low, high float64) {
	if len(f.Samples) == 0 {
		return math.NaN(), math.NaN()
	}
	return slices.Min(f.Samples), slices.Max(f.Samples)
}

// String is the median and the range that it is the median of, with the unit;
// or why there is none.
func (f *Figure) String() string {
	if len(f.Samples) == 0 {
		return "not measured: " + f.Why
	}
	return f.Bare() + unit(f.Unit)
}

// Bare is String without the unit.
func (f *Figure) Bare() string {
	if len(f.Samples) == 0 {
		return "–"
	}
	low, high := f.Range()
	m, l, h := number(f.Median()), number(low), number(high)
	if l == h {
		return m
	}
	return fmt.Sprintf("%s (%s–%s)", m, l, h)
}

func unit(u string) string {
	if u == "" {
		return ""
	}
	return " " + u
}

// number writes three digits that count, and never an exponent.
func number(v float64) string {
	a := math.Abs(v)
	switch {
	case v == 0:
		return "0"
	case a >= 99.95: // what will be rounded has the digits of what it is rounded to
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.0995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2+int(math.Ceil(-math.Log10(a)))-1, 64)
	}
}

// Ratio is a figure made of two others, sample by sample: they were taken in
// turn, so that a machine that is slower for a while is so for both. A sample
// too many of one is left out.
func Ratio(key, name string, of, by *Figure) *Figure {
	f := &Figure{Key: key, Name: name, Unit: "×"}
	for i := range min(len(of.Samples), len(by.Samples)) {
		if by.Samples[i] != 0 {
			f.Samples = append(f.Samples, of.Samples[i]/by.Samples[i])
		}
	}
	if len(f.Samples) == 0 {
		f.Why = first(of.Why, by.Why, "nothing to compare with")
	}
	return f
}

func first(reasons ...string) string {
	for _, r := range reasons {
		if r != "" {
			return r
		}
	}
	return ""
}

// Bound is what a figure should be: at most or at least so much. The zero Bound
// bounds nothing.
type Bound struct {
	Least bool // else at most
	Value float64
	Set   bool
}

// AtMost and AtLeast are bounds.
func AtMost(v float64) Bound { return Bound{Value: v, Set: true} }

// AtLeast is the other kind.
func AtLeast(v float64) Bound { return Bound{Least: true, Value: v, Set: true} }

// Holds reports whether a value is within the bound.
func (b Bound) Holds(v float64) bool {
	return !b.Set || b.Least && v >= b.Value || !b.Least && v <= b.Value
}

// Text writes the bound with a unit; nothing if there is none.
func (b Bound) Text(u string) string {
	switch {
	case !b.Set:
		return ""
	case !b.Least && b.Value == 0:
		return "0" + unit(u)
	case b.Least:
		return "≥ " + strconv.FormatFloat(b.Value, 'g', -1, 64) + unit(u)
	default:
		return "≤ " + strconv.FormatFloat(b.Value, 'g', -1, 64) + unit(u)
	}
}

// Verdict says which of its bounds the median is within.
func (f *Figure) Verdict() string {
	switch m := f.Median(); {
	case len(f.Samples) == 0 || !f.Must.Set && !f.Aim.Set:
		return ""
	case f.Must.Holds(m) && f.Aim.Set && f.Aim.Holds(m):
		return "aim"
	case !f.Must.Holds(m):
		return "**no**"
	case f.Must.Set:
		return "must"
	default:
		return "no"
	}
}
