package kernel

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// archive writes an initial RAM file system in cpio's newc form
// (Documentation/driver-api/early-userspace/buffer-format.rst). Directories
// that a file needs come before it by themselves.
type archive struct {
	w    io.Writer
	made map[string]bool
	n    int // of the last entry, its inode
	err  error
}

const (
	modeDir  = 0o040755
	modeFile = 0o100755
	modeLink = 0o120777
)

func newArchive(w io.Writer) *archive {
	return &archive{w: w, made: map[string]bool{"": true, ".": true}}
}

func (a *archive) dir(name string)            { a.put(name, modeDir, nil) }
func (a *archive) file(name string, b []byte) { a.put(name, modeFile, b) }
func (a *archive) link(name, to string)       { a.put(name, modeLink, []byte(to)) }

// put adds an entry, whose name may begin with a slash; the first of a name counts.
func (a *archive) put(name string, mode uint32, b []byte) {
	name = strings.TrimPrefix(path.Clean(name), "/")
	if a.made[name] || a.err != nil {
		return
	}
	if parent := path.Dir(name); !a.made[parent] {
		a.dir(parent)
	}
	a.made[name] = true
	a.n++
	a.entry(name, mode, b)
}

// close writes the end and answers what went wrong on the way.
func (a *archive) close() error {
	a.n = 0
	a.entry("TRAILER!!!", 0, nil)
	return a.err
}

func (a *archive) entry(name string, mode uint32, b []byte) {
	// magic, inode, mode, uid, gid, links, mtime, size, device (2), special
	// device (2), length of the name with its zero, checksum
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.n, mode, 0, 0, 1, 0, len(b), 0, 0, 0, 0, len(name)+1, 0)
	a.write([]byte(head + name + "\x00"))
	a.pad(len(head) + len(name) + 1)
	a.write(b)
	a.pad(len(b))
}

func (a *archive) pad(n int) { a.write(make([]byte, (4-n%4)%4)) }

func (a *archive) write(b []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(b)
	}
}
