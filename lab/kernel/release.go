package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Release is a kernel in the cache.
type Release struct {
	Series string // 6.12
	Name   string // as uname -r says
	dir    string
}

// ErrAbsent is of a kernel that is not in the cache.
var ErrAbsent = errors.New("it is not in the cache: make deps fetches it where apt has it")

// Cached finds the kernel that fetch.sh has put into the cache.
func Cached(series string) (Release, error) {
	cache := os.Getenv("NGFW_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return Release{}, fmt.Errorf("find the cache: %w", err)
		}
		cache = filepath.Join(home, ".cache", "ngfw")
	}
	r := Release{Series: series, dir: filepath.Join(cache, "kernels", series)}
	found, err := os.ReadDir(filepath.Join(r.dir, "lib", "modules"))
	if errors.Is(err, fs.ErrNotExist) {
		return Release{}, fmt.Errorf("kernel %s: %w", series, ErrAbsent)
	}
	if err != nil {
		return Release{}, fmt.Errorf("kernel %s: %w", series, err)
	}
	if len(found) != 1 {
		return Release{}, fmt.Errorf("kernel %s: %s holds %d kernels' modules, want one", series, r.dir, len(found))
	}
	r.Name = found[0].Name()
	return r, nil
}

func (r Release) image() string   { return filepath.Join(r.dir, "boot", "vmlinuz-"+r.Name) }
func (r Release) modules() string { return filepath.Join(r.dir, "lib", "modules", r.Name, "kernel") }
