//go:build real

package real

import (
	"strings"
	"time"
)

// patience is how long a test waits for what should happen at once.
const patience = 15 * time.Second

func contains(s, part string) bool { return strings.Contains(s, part) }
