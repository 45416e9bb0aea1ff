package dataplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// abi is bpf/abi/abi.h's NGFW_ABI: the layout of what is pinned.
const abi = 8

// pinDir is the directory of pins: <dir>/v<abi>/maps and …/links. Programs are
// held by their links, or are pinned in their place where they have none.
type pinDir string

func (p pinDir) version() string            { return filepath.Join(string(p), "v"+strconv.Itoa(abi)) }
func (p pinDir) maps() string               { return filepath.Join(p.version(), "maps") }
func (p pinDir) links() string              { return filepath.Join(p.version(), "links") }
func (p pinDir) mapPath(name string) string { return filepath.Join(p.maps(), name) }

// link names a link's pin by interface index, which outlives a rename. bpffs
// refuses dots.
func (p pinDir) link(ifindex int, hook string) string {
	return filepath.Join(p.links(), strconv.Itoa(ifindex)+"-"+hook)
}

// prepare makes the directories and refuses pins of a newer version.
func (p pinDir) prepare() error {
	if versions, err := p.versions(); err == nil {
		for _, v := range versions {
			if v > abi {
				return fmt.Errorf("%s holds pins of version %d, this binary knows %d: start the newer ngfw-agent, or remove the directory", p, v, abi)
			}
		}
	}
	if err := p.onBPFFS(); err != nil {
		return err
	}
	for _, dir := range []string{p.maps(), p.links()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the pin directory: %w", err)
		}
	}
	return nil
}

// removeOlder takes the programs and maps of older versions off. Their flows are
// taken over from conntrack; until ours are attached the backstop holds.
func (p pinDir) removeOlder() error {
	versions, err := p.versions()
	if err != nil {
		return fmt.Errorf("look for older pins: %w", err)
	}
	for _, v := range versions {
		if v >= abi {
			continue
		}
		if err := p.remove(v); err != nil {
			return err
		}
	}
	return nil
}

// versions are those that have pins there. The directory may be others' too,
// if it is a whole bpffs.
func (p pinDir) versions() (list []int, err error) {
	entries, err := os.ReadDir(string(p))
	for _, e := range entries {
		number, ours := strings.CutPrefix(e.Name(), "v")
		if v, err := strconv.Atoi(number); ours && err == nil {
			list = append(list, v)
		}
	}
	return list, err
}

// remove takes the programs and maps of a version off.
func (p pinDir) remove(version int) error {
	dir := filepath.Join(string(p), "v"+strconv.Itoa(version))
	if err := errors.Join(releasePins(filepath.Join(dir, "links")), os.RemoveAll(dir)); err != nil {
		return fmt.Errorf("remove the pins of version %d: %w", version, err)
	}
	return nil
}

// onBPFFS looks at the directory, or where it would be made.
func (p pinDir) onBPFFS() error {
	for dir := filepath.Clean(string(p)); ; dir = filepath.Dir(dir) {
		var fs unix.Statfs_t
		err := unix.Statfs(dir, &fs)
		if errors.Is(err, os.ErrNotExist) && dir != filepath.Dir(dir) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at the pin directory: %w", err)
		}
		if fs.Type != unix.BPF_FS_MAGIC {
			return fmt.Errorf("%s is not on a bpffs, so nothing can be pinned: mount -t bpf bpf /sys/fs/bpf", p)
		}
		return nil
	}
}

// Remove takes what is pinned there out of the kernel: programs off the
// interfaces, maps and counters gone. No Dataplane may be open on it. The
// caller removes the backstop.
func Remove(pins string) error {
	p := pinDir(pins)
	if err := p.onBPFFS(); err != nil {
		return err
	}
	versions, err := p.versions()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the pins: %w", err)
	}
	var errs []error
	for _, v := range versions {
		errs = append(errs, p.remove(v))
	}
	// It stays where something of others is in it, or a bpffs is mounted there.
	if err := os.Remove(string(p)); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EBUSY) {
		errs = append(errs, fmt.Errorf("remove the directory of pins: %w", err))
	}
	return errors.Join(errs...)
}
