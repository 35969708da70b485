package hostnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// record is what must be undone. The device and its addresses need no entry:
// they go with the process that opened it.
type record struct {
	Forwarding map[string]string `json:"forwarding,omitempty"` // file below /proc/sys to its former value
	Table      string            `json:"table,omitempty"`      // our nftables table
}

// save writes the record in one step, before the change that it undoes.
func (r *record) save(file string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot keep the undo record: %w", err)
	}
	tmp := file + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("cannot keep the undo record: %w", err)
	}
	return os.Rename(tmp, file)
}

func load(file string) (*record, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("the undo record %s is damaged: look at `nft list tables` and remove the file: %w", file, err)
	}
	return &r, nil
}

// undo changes everything back and then forgets the record. It goes on after
// an error, and keeps the record if there was one.
func (r *record) undo(file string) error {
	var errs []error
	if r.Table != "" {
		errs = append(errs, dropTable(r.Table))
	}
	for name, value := range r.Forwarding {
		if _, err := os.Stat(filepath.Join(sysctlDir, name)); errors.Is(err, fs.ErrNotExist) {
			continue // its device is gone
		}
		errs = append(errs, writeSysctl(name, value))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	*r = record{}
	return nil
}
