package app

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/conf"
)

// usedCodesFile is the file in the state directory that says which one-time codes were used, so
// that none is good again after a restart.
const usedCodesFile = "used-codes.json"

// usedCodes remembers one-time codes in the state directory. A file that cannot be read or
// written costs that alone: the log says so.
func (a *instance) usedCodes(dir string) auth.Codes {
	file := filepath.Join(dir, usedCodesFile)
	var last map[string]auth.UsedCode
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &last)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.WithField("error", errorField(err)).Warn("which one-time codes were used cannot be read: one of the last minute could be used again")
	}
	codes, told := auth.NewUsedCodes(last), false
	codes.Changed = func(all map[string]auth.UsedCode) {
		b, err := json.Marshal(all)
		if err == nil {
			err = conf.WriteAtomic(file, b)
		}
		if err != nil && !told {
			a.log.WithField("error", errorField(err)).Warn("which one-time codes were used cannot be written: after a restart one of the last minute could be used again")
		}
		told = err != nil
	}
	return codes
}
