package lanes

import (
	"fmt"
	"os"
	"strconv"
	"sync"
)

// Environment is the environment variable that chooses a lower tier than the
// CPU has: generic, aesni or avx512.
const Environment = "ADIT_CPU"

// Tier is a set of kernels. A higher one needs a newer CPU.
type Tier uint8

// The tiers.
const (
	Generic Tier = iota // the standard library
	AESNI               // AES-NI, eight lanes, and the SHA extensions
	AVX512              // VAES and AVX-512, sixteen lanes
)

var tierNames = [...]string{"generic", "aesni", "avx512"}

// String is the tier's name, as in ADIT_CPU.
func (t Tier) String() string {
	if int(t) < len(tierNames) {
		return tierNames[t]
	}
	return "Tier(" + strconv.Itoa(int(t)) + ")"
}

// Best is the tier to use: the highest that this CPU has, or what ADIT_CPU
// says. Where ADIT_CPU cannot be obeyed it is the highest; Chosen says why.
func Best() Tier {
	t, _ := Chosen()
	return t
}

// Chosen is Best, and an error if ADIT_CPU is not a tier or one that this CPU does
// not have. It looks once.
var Chosen = sync.OnceValues(func() (Tier, error) { return choose(os.Getenv(Environment), highest()) })

func choose(word string, highest Tier) (Tier, error) {
	if word == "" {
		return highest, nil
	}
	for i, name := range tierNames {
		switch t := Tier(i); {
		case word != name:
		case t > highest:
			return highest, fmt.Errorf("this CPU cannot do %q, %q is the most: leave %s unset to have that", word, highest, Environment)
		default:
			return t, nil
		}
	}
	return highest, fmt.Errorf("%q is none of generic, aesni and avx512: leave %s unset to have the best that this CPU can do", word, Environment)
}
