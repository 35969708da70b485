package main

import (
	"flag"
	"os"
	"path/filepath"

	"github.com/adit-vpn/adit/conf"
)

// localCommand is what the verbs of adit user and of adit group need.
type localCommand struct {
	streams
	where  func() (string, *conf.Config, error)
	socket *string      // nil for verbs that change nothing
	file   string       // users.toml
	conf   *conf.Config // its users and groups stand elsewhere than in file
}

// newLocalCommand adds the flags that all verbs have.
func newLocalCommand(s streams, f *flag.FlagSet) *localCommand {
	return &localCommand{streams: s, where: stateFlags(f, os.Environ())}
}

// open finds the file and the configuration, when the flags are parsed.
func (l *localCommand) open() error {
	state, c, err := l.where()
	if err != nil {
		return err
	}
	l.file, l.conf = filepath.Join(state, conf.UsersFile), c
	return nil
}
