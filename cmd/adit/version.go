package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set when a release is built (-ldflags "-X main.version=…").
var version = "development"

func runVersion(_ context.Context, s streams, args []string) error {
	if done, err := parseOnlyFlags(newFlags(s, "version", "", "Prints the version, and what it was built with."), args); done {
		return err
	}
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, kv := range info.Settings {
			if kv.Key == "vcs.revision" && len(kv.Value) >= 12 {
				revision = " " + kv.Value[:12]
			}
		}
	}
	_, err := fmt.Fprintf(s.out, "adit %s%s %s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
