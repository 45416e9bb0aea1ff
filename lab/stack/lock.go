package stack

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"ngfw.sh/lab"
)

// ErrRunning says that a live run has the directory.
var ErrRunning = errors.New("already running")

// record is what a run writes into its lock file: enough to find everything
// that it made.
type record struct {
	Supervisor lab.Process `json:"supervisor"`
	Mark       string      `json:"mark"` // value of markVariable in every process
	Lab        string      `json:"lab"`
}

func newRecord(name string) record {
	return record{Supervisor: lab.Self(), Mark: rand.Text(), Lab: name}
}

// heldLock is a locked lock file.
type heldLock struct {
	file *os.File
	dir  string
}

// lock takes the directory for this process, making it if need be. left is what
// the last run recorded, if it did not end as it should.
func lock(dir string) (held *heldLock, left record, err error) {
	path := filepath.Join(dir, "lock")
	for {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, record{}, err
		}
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if errors.Is(err, os.ErrNotExist) {
			continue // the directory went just now
		}
		if err != nil {
			return nil, record{}, err
		}
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != nil {
			file.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, record{}, ErrRunning
			}
			return nil, record{}, fmt.Errorf("lock %s: %w", path, err)
		}
		if !current(file, path) { // removed by its last holder before we had it
			file.Close()
			continue
		}
		data, err := io.ReadAll(file)
		if err != nil {
			file.Close()
			return nil, record{}, err
		}
		json.Unmarshal(data, &left) // cut short or empty: nothing was made yet
		return &heldLock{file, dir}, left, nil
	}
}

func (h *heldLock) write(r record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := h.file.Truncate(0); err != nil {
		return err
	}
	_, err = h.file.WriteAt(append(data, '\n'), 0)
	return err
}

// release removes the file while it is still locked, and the directory if
// nothing is in it.
func (h *heldLock) release() {
	os.Remove(h.file.Name())
	os.Remove(h.dir)
	h.file.Close()
}

// holder is what the live run recorded.
func holder(dir string) (record, error) {
	var r record
	data, err := os.ReadFile(filepath.Join(dir, "lock"))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return r, err
}

func current(file *os.File, path string) bool {
	a, err := file.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}
