// Package durable has files be where they were put after a power loss. It knows nothing of what is
// in them, and owns nothing: who writes a file syncs it first.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Rename gives a file its name, in place of the one that has it, in one step. When it returns, that
// has reached the disk: a name is in its directory, which a sync of the file leaves out. An error
// may come after the step.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
