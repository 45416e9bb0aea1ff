package chdb

import (
	"fmt"
	"os"
	"path/filepath"
)

// maxSocketPath is sizeof(sun_path) without the final zero.
const maxSocketPath = 107

// socketAddress gives a name for path that fits into a socket address: a long
// one is reached through an open descriptor of its directory. done closes
// that; call it when the address is not used any more.
func socketAddress(path string) (address string, done func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, fmt.Errorf("open the engine socket's directory: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}
