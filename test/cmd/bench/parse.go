package main

import (
	"errors"
	"strconv"
	"strings"
)

// parseSpeed reads the output of openssl speed -mr, which is in bytes a second,
// and returns the seconds for 10^9 bytes.
func parseSpeed(out string) (float64, error) {
	for line := range strings.Lines(out) {
		if f := strings.Split(strings.TrimSpace(line), ":"); f[0] == "+F" {
			rate, err := strconv.ParseFloat(f[len(f)-1], 64)
			if err == nil && rate <= 0 {
				err = errors.New("openssl speed did nothing")
			}
			return 1e9 / rate, err
		}
	}
	return 0, errors.New("openssl speed printed no figure")
}
