//go:build real

package docker

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tree is a directory that becomes part of an image.
type tree struct {
	dir  string // on this host
	at   string // in the image, without a leading slash
	skip []string
}

// importImage makes an image of trees, with changes in the words of a
// Dockerfile.
func (e *engine) importImage(t *testing.T, name string, changes []string, trees ...tree) {
	t.Helper()
	args := []string{"import"}
	for _, c := range changes {
		args = append(args, "--change", c)
	}
	cmd := e.command(append(args, "-", name)...)
	r, w := io.Pipe()
	cmd.Stdin = r
	go func() {
		archive := tar.NewWriter(w)
		var err error
		for _, tr := range trees {
			if err = tr.write(archive); err != nil {
				break
			}
		}
		if err == nil {
			err = archive.Close()
		}
		w.CloseWithError(err)
	}()
	output(t, cmd)
}

// write adds the tree to an archive.
func (tr tree) write(archive *tar.Writer) error {
	return filepath.WalkDir(tr.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(tr.dir, name)
		if err != nil {
			return err
		}
		if slices.Contains(tr.skip, rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return add(archive, name, path.Join(tr.at, filepath.ToSlash(rel)), d)
	})
}

func add(archive *tar.Writer, name, as string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if as == "." || info.Mode()&(fs.ModeSocket|fs.ModeDevice|fs.ModeNamedPipe) != 0 {
		return nil
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(name); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name = as
	if err := archive.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(archive, f)
	return err
}

// imageName finds an image that a shipped file names, so that the test cannot
// stand in for another one.
func imageName(t *testing.T, file, pattern string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(pattern).FindSubmatch(b)
	if m == nil {
		t.Fatalf("%s names no image as %s", file, pattern)
	}
	return string(m[1])
}

// guestTrees is where test/guest/build has its Debian trees.
func guestTrees(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(run(t, nil, "bash", "-c", ". "+root+"/test/guest/lib.sh; echo $IMG"))
}

// importGolang makes the image that the Dockerfile builds in: Debian, this
// host's Go, and the modules that go.mod names, because there is no network.
func (e *engine) importGolang(t *testing.T) {
	t.Helper()
	proxy := "file://" + strings.TrimSpace(run(t, nil, "go", "env", "GOMODCACHE")) + "/cache/download," +
		strings.TrimSpace(run(t, nil, "go", "env", "GOPROXY"))
	modules := t.TempDir()
	run(t, []string{"GOMODCACHE=" + modules, "GOPROXY=" + proxy, "GOFLAGS=-modcacherw"}, "go", "-C", root, "mod", "download")
	e.importImage(t, imageName(t, "Dockerfile", `FROM (golang:\S+) AS build`),
		[]string{
			"ENV PATH=/usr/local/go/bin:/usr/bin:/bin", "ENV GOTOOLCHAIN=local",
			"ENV GOPROXY=file:///modules", "ENV GOSUMDB=off",
		},
		tree{dir: filepath.Join(guestTrees(t), "base"), skip: []string{"var/lib/apt", "var/cache"}},
		tree{dir: strings.TrimSpace(run(t, nil, "go", "env", "GOROOT")), at: "usr/local/go", skip: []string{"test", "doc", "api"}},
		tree{dir: filepath.Join(modules, "cache/download"), at: "modules"})
}

// importFreeRADIUS makes the image that the compose file's profile radius
// runs, of Debian's FreeRADIUS.
func (e *engine) importFreeRADIUS(t *testing.T) {
	t.Helper()
	e.importImage(t, imageName(t, "docker-compose.yml", `image: (freeradius/\S+)`), nil,
		tree{dir: filepath.Join(guestTrees(t), "rootfs-tools"), skip: []string{
			"boot", "var/lib/apt", "var/cache", "usr/share/wireshark", "usr/share/perl", "usr/share/zoneinfo",
			"usr/lib/x86_64-linux-gnu/wireshark", "usr/lib/x86_64-linux-gnu/perl", "usr/lib/x86_64-linux-gnu/gconv",
		}})
}

// project copies the repository without what is built, as a user's checkout.
func project(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "adit")
	top, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, entry := range top {
		from, to := filepath.Join(root, entry.Name()), filepath.Join(dir, entry.Name())
		switch {
		case slices.Contains([]string{".git", "bin", "out", "config", "secrets", ".env"}, entry.Name()):
		case entry.IsDir():
			err = os.CopyFS(to, os.DirFS(from))
		default:
			var b []byte
			if b, err = os.ReadFile(from); err == nil {
				err = os.WriteFile(to, b, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// regularFiles lists the files that an image consists of.
func (e *engine) regularFiles(t *testing.T, image string) []string {
	t.Helper()
	container := strings.TrimSpace(e.docker(t, "create", image))
	defer e.docker(t, "rm", container)
	archive := tar.NewReader(strings.NewReader(e.docker(t, "export", container)))
	var names []string
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg && h.Size > 0 {
			names = append(names, h.Name)
		}
	}
}
