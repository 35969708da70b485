package limit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Rate is bits a second of IP packets; 0: no limit.
type Rate uint64

// Rates are what a session may carry each way.
type Rates struct {
	In, Out           Rate
	BurstIn, BurstOut Octets // what may come at once after a pause; 0: Burst of the rate
}

// IsZero reports whether there is no limit.
func (r Rates) IsZero() bool { return r.In == 0 && r.Out == 0 }

// Or returns r, with each direction that it does not limit as o has it.
func (r Rates) Or(o Rates) Rates {
	if r.In == 0 {
		r.In, r.BurstIn = o.In, o.BurstIn
	}
	if r.Out == 0 {
		r.Out, r.BurstOut = o.Out, o.BurstOut
	}
	return r
}

const (
	// leastBurst is a super-packet of the device: with less, none would ever pass.
	leastBurst = 64 << 10

	// MaxRate is the highest rate: what is faster is not limited by a session's bucket.
	MaxRate Rate = 1e12
)

// Burst is what may come at once at a rate: 50 ms of it, and a super-packet at least.
func (r Rate) Burst() Octets { return max(leastBurst, Octets(r/8/20)) }

// units are those of text, largest first.
var units = []struct {
	name string
	of   float64
}{{"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"k", 1e3}}

// String is a text that the same rate is read from: "10 Mbit/s".
func (r Rate) String() string { return inUnits(uint64(r), "bit/s") }

func inUnits(n uint64, of string) string {
	for _, u := range units {
		if whole := uint64(u.of); n >= whole {
			if text := strconv.FormatFloat(float64(n)/u.of, 'f', -1, 64); len(text) <= 7 {
				return text + " " + u.name + of
			}
		}
	}
	return strconv.FormatUint(n, 10) + " " + of
}

// MarshalText implements encoding.TextMarshaler.
func (r Rate) MarshalText() ([]byte, error) {
	if r == 0 {
		return nil, nil
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads "10 Mbit/s", "10M" or "512k": decimal units of bits a second.
func (r *Rate) UnmarshalText(text []byte) error {
	*r = 0
	if len(text) == 0 {
		return nil
	}
	s := strings.TrimSpace(string(text))
	for _, end := range []string{"bit/s", "bps", "b/s"} {
		if cut, ok := strings.CutSuffix(s, end); ok {
			s = cut
			break
		}
	}
	n, ok := number(s, false)
	if !ok || n < 1 || n > uint64(MaxRate) {
		return fmt.Errorf(`%q is not a rate such as "10 Mbit/s" or "512 kbit/s"`, text)
	}
	*r = Rate(n)
	return nil
}

// number reads "10", "1.5M" or "512 k"; with binary also "2Gi".
func number(s string, binary bool) (uint64, bool) {
	s = strings.TrimSpace(s)
	of := 1.0
	cut, bi := strings.CutSuffix(s, "i")
	if bi && binary {
		s = cut
	}
	for i, u := range units {
		if cut, ok := strings.CutSuffix(s, u.name); ok || u.name == "k" && strings.HasSuffix(s, "K") {
			if !ok {
				cut = strings.TrimSuffix(s, "K")
			}
			s, of = strings.TrimSpace(cut), u.of
			if bi {
				of = math.Pow(1024, float64(len(units)-i))
			}
			bi = false
			break
		}
	}
	if bi || s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	if n *= of; err != nil || n >= 1<<63 {
		return 0, false
	}
	return uint64(math.Round(n)), true
}

// Octets is a number of bytes of IP packets; 0: no limit.
type Octets uint64

// String is a text that the same number is read from: "50 GB".
func (o Octets) String() string { return inUnits(uint64(o), "B") }

// MarshalText implements encoding.TextMarshaler.
func (o Octets) MarshalText() ([]byte, error) {
	if o == 0 {
		return nil, nil
	}
	return []byte(o.String()), nil
}

// UnmarshalText reads "50 GB", "50G", or "2 GiB".
func (o *Octets) UnmarshalText(text []byte) error {
	*o = 0
	if len(text) == 0 {
		return nil
	}
	n, ok := number(strings.TrimSuffix(strings.TrimSpace(string(text)), "B"), true)
	if !ok || n < 1 {
		return fmt.Errorf(`%q is not a volume such as "50 GB" or "2 GiB"`, text)
	}
	*o = Octets(n)
	return nil
}

// Volume is how much a session may carry; zero values are no limit.
type Volume struct{ In, Out, Total Octets }

// IsZero reports whether there is no limit.
func (v Volume) IsZero() bool { return v == Volume{} }

// Left is how much more may pass after so much each way, and of what; ok is false where
// nothing is limited. Left is 0 when it is used up.
func (v Volume) Left(in, out uint64) (left Octets, ok bool) {
	for _, x := range []struct {
		limit Octets
		used  uint64
	}{{v.In, in}, {v.Out, out}, {v.Total, in + out}} {
		if x.limit == 0 {
			continue
		}
		rest := x.limit - min(x.limit, Octets(x.used))
		if !ok || rest < left {
			left = rest
		}
		ok = true
	}
	return left, ok
}

// Time is how long octets take at the rate, which is not 0; an hour at most.
func (r Rate) Time(o Octets) time.Duration {
	return time.Duration(min(float64(o)*8e9/float64(r), float64(time.Hour)))
}

// ShaperRates reads rates as accel-ppp's shaper has them in Filter-Id: "2000/3000" is 2000
// kbit/s to the client and 3000 kbit/s from it, one number both; with a unit, as in "20M/5M",
// it is that unit.
func ShaperRates(text string) (Rates, bool) {
	down, up, two := strings.Cut(text, "/")
	if !two {
		up = down
	}
	read := func(s string) Rate {
		if s != "" && strings.Trim(s, "0123456789") == "" {
			s += "k"
		}
		n, ok := number(s, false)
		if !ok || n > uint64(MaxRate) || strings.ContainsAny(s, ". ") {
			return 0
		}
		return Rate(n)
	}
	r := Rates{In: read(up), Out: read(down)}
	return r, r.In > 0 && r.Out > 0
}
