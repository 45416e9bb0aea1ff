package kernel

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Bundle is what a machine's file system holds beside the kernel's modules.
type Bundle struct {
	Init     string            // the compiled package guest
	Programs map[string]string // path in the machine → here
	Commands []string          // of this machine; those that it lacks are left out
	Trees    map[string]string // directories: path in the machine → here
	Files    []string          // at the same place; those absent here are left out
	Plan     []Step
}

// write writes the initial RAM file system.
func (b Bundle) write(ctx context.Context, w io.Writer, r Release) error {
	a := newArchive(w)
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		a.dir("usr/" + dir)
		a.link(dir, "usr/"+dir)
	}
	for _, dir := range []string{"proc", "sys", "dev", "tmp", "run", "root", "etc", "var/lib"} {
		a.dir(dir)
	}
	a.link("var/run", "/run")
	for _, s := range b.Plan {
		a.dir(s.Dir)
	}
	if err := copyFile(a, "/init", b.Init); err != nil {
		return err
	}
	for to, from := range b.Programs {
		if err := addProgram(ctx, a, to, from); err != nil {
			return err
		}
	}
	for _, name := range b.Commands {
		from, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if err := addProgram(ctx, a, "/usr/bin/"+name, from); err != nil {
			return err
		}
	}
	for to, from := range b.Trees {
		if err := addTree(ctx, a, to, from); err != nil {
			return err
		}
	}
	for _, name := range b.Files {
		if err := copyFile(a, name, name); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	modules, err := r.addModules(a)
	if err != nil {
		return err
	}
	for name, v := range map[string]any{PlanFile: b.Plan, ModulesFile: modules} {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		a.file(name, text)
	}
	return a.close()
}

func copyFile(a *archive, to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	a.file(to, content)
	return a.err
}

// addProgram adds a program and the libraries that it is linked with.
func addProgram(ctx context.Context, a *archive, to, from string) error {
	if err := copyFile(a, to, from); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "ldd", from).Output()
	if err != nil {
		return nil // a static one
	}
	for line := range bytes.Lines(out) {
		// libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…), or the loader's path alone
		for _, word := range strings.Fields(string(line)) {
			if strings.HasPrefix(word, "/") {
				if err := copyFile(a, filepath.Join("/usr", strings.TrimPrefix(word, "/usr")), word); err != nil {
					return fmt.Errorf("%s: %w", from, err)
				}
			}
		}
	}
	return nil
}

func addTree(ctx context.Context, a *archive, to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return copyFile(a, filepath.Join(to, rel), path)
	})
}
