//go:build real

// Package real shows that unmodified clients, RADIUS servers and dissectors get
// along with the server.
package real

import (
	"os"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// here is the lab that all tests share; TestMain sets it.
var here *lab.Lab

func TestMain(m *testing.M) {
	os.Exit(lab.Main(m, func(l *lab.Lab) { here = l }))
}
