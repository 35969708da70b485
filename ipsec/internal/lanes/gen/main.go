// Command gen writes the assembly of package lanes: of each family of kernels
// an assembly file and one with its Go declarations.
//
//	go generate ./ipsec/internal/lanes
//
// It is a module of its own, so that the server does not depend on the tools
// that make it.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// families are the files that are written, NAME_amd64.s and NAME_stub_amd64.go, and
// what writes each.
var families = []struct {
	name  string
	write func(*build.Context)
}{
	{"cpu", cpu},
	{"key", key},
	{"cbc_aesni", cbcAESNI},
	{"cbc_avx512", cbcAVX512},
	{"sha1", sha1Kernels},
	{"sha256", sha256Kernels},
	{"sha512", sha512Kernels},
	{"shani", extensionKernels},
	{"seal", sealKernels},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen DIRECTORY")
		os.Exit(2)
	}
	for _, f := range families {
		if err := generate(filepath.Join(os.Args[1], f.name), f.write); err != nil {
			fmt.Fprintf(os.Stderr, "gen: %s: %v\n", f.name, err)
			os.Exit(1)
		}
	}
}

func generate(path string, write func(*build.Context)) error {
	c := build.NewContext()
	c.ConstraintExpr("!purego")
	write(c)
	file, err := c.Result()
	if err != nil {
		return err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return err
	}
	cfg := printer.Config{Name: "go generate, by the module in gen", Pkg: "lanes"}
	code, err := printer.NewGoAsm(cfg).Print(file)
	if err != nil {
		return err
	}
	stubs, err := printer.NewStubs(cfg).Print(file)
	if err != nil {
		return err
	}
	code = append(bytes.TrimRight(code, "\n"), '\n')
	return errors.Join(os.WriteFile(path+"_amd64.s", code, 0o644), os.WriteFile(path+"_stub_amd64.go", stubs, 0o644))
}
