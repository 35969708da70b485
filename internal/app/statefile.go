package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/conf"
)

const (
	stateLimit  = 64 << 20   // bytes that are read of a state file
	stateName   = 1 << 10    // bytes of a user's name, at most: a user with a longer one gets no line
	stateEnd    = "# end"    // the last line: without it the file was cut off
	stateDamage = ".damaged" // behind the name of a file that cannot be read, and is set aside
)

// stateFile is a file of lines in the state directory that follows what a part of the server
// knows. Nothing waits for it: it is written some time after a change, so that changes come
// together, and when the server stops.
type stateFile struct {
	path  string
	head  string        // the first line, a comment
	pause time.Duration // from a change to its writing
	again time.Duration // until writing is tried again
	// What the log says where the file cannot be read, and where it cannot be written.
	unread, unwritten string

	log   *logrus.Logger
	dirty chan struct{} // has an element since something has changed
}

// change has the file written.
func (f *stateFile) change() {
	select {
	case f.dirty <- struct{}{}:
	default: // it is said already
	}
}

// changed reports whether something has changed since it was last asked.
func (f *stateFile) changed() bool {
	select {
	case <-f.dirty:
		return true
	default:
		return false
	}
}

// read reads the file, each line but for comments by line. It reports whether there is
// one that can be read to its end; one that is damaged is set aside.
func (f *stateFile) read(line func(string) error) bool {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err == nil {
		err = stateLines(io.LimitReader(file, stateLimit), line)
		file.Close()
	}
	if err == nil {
		return true
	}
	aside := f.path + stateDamage
	err = errors.Join(err, os.Rename(f.path, aside))
	f.log.WithFields(logrus.Fields{"file": f.path, "error": errorField(err), "set_aside": aside}).Warn(f.unread)
	return false
}

// stateLines reads lines as write has written them.
func stateLines(r io.Reader, line func(string) error) error {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		switch text := lines.Text(); {
		case text == stateEnd:
			return nil
		case strings.HasPrefix(text, "#"):
		default:
			if err := line(text); err != nil {
				return fmt.Errorf("line %d %w", n, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("it has no end")
}

// keep writes the file, with the lines that text returns then, until ctx ends, and once more
// at the end.
func (f *stateFile) keep(ctx context.Context, text func(*bytes.Buffer) error) {
	unwritten, told := false, false
	for ctx.Err() == nil {
		var again <-chan time.Time
		if unwritten {
			again = time.After(f.again)
		}
		select {
		case <-ctx.Done():
		case <-again:
		case <-f.dirty:
			unwritten = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(f.pause):
		}
		if !f.changed() && !unwritten {
			continue
		}
		err := f.write(text)
		if unwritten = err != nil; unwritten && !told {
			f.log.WithField("error", errorField(err)).Warn(f.unwritten)
		}
		told = unwritten
	}
}

func (f *stateFile) write(text func(*bytes.Buffer) error) error {
	var b bytes.Buffer
	fmt.Fprintln(&b, f.head)
	if err := text(&b); err != nil {
		return err
	}
	fmt.Fprintln(&b, stateEnd)
	return conf.WriteAtomic(f.path, b.Bytes())
}
