package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// runDir holds one directory per lab. It is made with the first lab and removed
// with the last; while it is locked nobody else makes or removes labs.
const runDir = "/run/ngfw-lab"

// State is what is recorded of a lab.
type State struct {
	Name    string    `json:"name"`
	Ready   bool      `json:"ready"`   // false while it is made, for ever if that was interrupted, and once a host is gone
	Forward bool      `json:"forward"` // see Config.Forward
	Owner   *Process  `json:"owner,omitempty"`
	Created time.Time `json:"created"`
}

// Usable says whether the lab was made whole and nobody who owned it has left.
func (s State) Usable() bool {
	return s.Ready && (s.Owner == nil || s.Owner.Alive())
}

// State reads what is recorded of the lab; ok is false if there is nothing, or
// nothing readable.
func (l *Lab) State() (s State, ok bool) {
	data, err := os.ReadFile(filepath.Join(l.Dir(), "lab.json"))
	if err != nil || json.Unmarshal(data, &s) != nil {
		return State{Name: l.name}, false
	}
	// The record may outlive what it records, through a reboot.
	s.Ready = s.Ready && l.whole()
	return s, true
}

// whole says whether every host is there.
func (l *Lab) whole() bool {
	for _, host := range Hosts {
		if !isNamespace(l.Namespace(host)) {
			return false
		}
	}
	return true
}

func (l *Lab) record(s State) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	path := filepath.Join(l.Dir(), "lab.json")
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// List returns every lab on this machine, also what is left of broken ones.
func List() ([]State, error) {
	names := map[string]bool{}
	dirs, err := os.ReadDir(runDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, d := range dirs {
		names[d.Name()] = true
	}
	spaces, err := os.ReadDir(netnsDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, s := range spaces {
		rest, ours := strings.CutPrefix(s.Name(), "ngfw-")
		// No host has a hyphen in its name: the last one parts lab and host.
		cut := strings.LastIndexByte(rest, '-')
		if ours && cut > 0 && slices.Contains(Hosts, rest[cut+1:]) {
			names[rest[:cut]] = true
		}
	}
	var labs []State
	for name := range names {
		if l, err := Named(name); err == nil {
			s, _ := l.State()
			s.Name = name
			labs = append(labs, s)
		}
	}
	slices.SortFunc(labs, func(a, b State) int { return strings.Compare(a.Name, b.Name) })
	return labs, nil
}

// lockAll makes runDir and locks it. The returned function unlocks it and
// removes it if it is empty.
func lockAll() (unlock func(), err error) {
	for {
		if err := os.MkdirAll(runDir, 0o700); err != nil {
			return nil, err
		}
		dir, err := os.Open(runDir)
		if errors.Is(err, os.ErrNotExist) {
			continue // the last lab went just now
		}
		if err != nil {
			return nil, err
		}
		for {
			if err = unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != unix.EINTR {
				break
			}
		}
		if err != nil {
			dir.Close()
			return nil, fmt.Errorf("lock %s: %w", runDir, err)
		}
		if samePath(dir, runDir) {
			return func() {
				os.Remove(runDir) // fails while a lab is in it
				os.Remove(netnsDir)
				dir.Close()
			}, nil
		}
		dir.Close() // it was removed while we waited for the lock
	}
}

// samePath says whether path still leads to the open file.
func samePath(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(held, now)
}
