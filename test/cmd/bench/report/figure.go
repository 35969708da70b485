package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Figure is a quantity that was measured several times, or the reason why it was
// not.
type Figure struct {
	Key     string    // its name for programs: part/contestant/…
	Name    string    // its name for people
	Unit    string    // of the samples
	Samples []float64 // in the order in which they were taken
	Why     string    // why there are no samples
	How     string    // additional remarks

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

// String is the median and the range of the samples, with the unit, or the reason
// why there are none.
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

// number formats three significant digits, and never uses an exponent.
func number(v float64) string {
	a := math.Abs(v)
	switch {
	case v == 0:
		return "0"
	case a >= 99.95: // the number of digits is chosen after rounding
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.0995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2+int(math.Ceil(-math.Log10(a)))-1, 64)
	}
}

// Ratio is a figure made from two others, sample by sample. The samples of both
// were taken in turn, so a period in which the machine is slower affects both. If
// one has more samples, the last are left out.
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

// Bound is a limit for a figure: at most or at least a value. The zero Bound
// limits nothing.
type Bound struct {
	Least bool // at least; else at most
	Value float64
	Set   bool
}

// AtMost is the bound of a figure that should be no larger than v.
func AtMost(v float64) Bound { return Bound{Value: v, Set: true} }

// AtLeast is the bound of a figure that should be no smaller than v.
func AtLeast(v float64) Bound { return Bound{Least: true, Value: v, Set: true} }

// Holds reports whether a value is within the bound.
func (b Bound) Holds(v float64) bool {
	return !b.Set || b.Least && v >= b.Value || !b.Least && v <= b.Value
}

// Text writes the bound with a unit, and nothing if there is no bound.
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

// Verdict says which of its bounds the median keeps.
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
