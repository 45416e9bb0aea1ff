package dataplane

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A directory of pins may be a whole bpffs, with things of the kernel's and of others in it.
func TestRemoveLeavesWhatIsOthers(t *testing.T) {
	root := bpffs(t)
	others := filepath.Join(root, "12") // no version of ours
	if err := os.Mkdir(others, 0o700); err != nil {
		t.Fatal(err)
	}
	ours := openAt(t, root, 16)
	if err := errors.Join(ours.Close(), Remove(root)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(others); err != nil {
		t.Errorf("others' pins: %v", err)
	}
	if left, err := pinDir(root).versions(); err != nil || len(left) != 0 {
		t.Errorf("versions %v are left, %v", left, err)
	}
	own := filepath.Join(root, "own")
	ours = openAt(t, own, 16)
	if err := errors.Join(ours.Close(), Remove(own), Remove(own)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(own); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory of ours: %v", err)
	}
}
