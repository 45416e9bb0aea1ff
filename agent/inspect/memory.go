package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"ngfw.sh/agent/ruleset"
	"ngfw.sh/dataplane/ids/detect"
)

// What the matcher remembers beside flows is on disk while it does not run: bits of
// hosts, counts of thresholds and tags in one file, and each dataset that a rule wants saved in
// its own. Flows, and the bits that are theirs, end with the process.

// rememberInterval is how often it is written: what a crash may cost.
const rememberInterval = 10 * time.Minute

// maxMemory bounds the file that is read back.
const maxMemory = 256 << 20

func memoryPath(dir string) string { return filepath.Join(dir, "ids-memory.json") }

func datasetDir(dir string) string { return filepath.Join(dir, "ids-datasets") }

// recall takes up what was remembered. A damaged file costs the memory, not the inspection.
func (r *running) recall() {
	text, err := readMemory(memoryPath(r.cfg.StateDir))
	var kept detect.Snapshot
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		r.deps.Log.Warn("what the matcher remembered is lost", "err", err)
		return
	}
	r.engine.State().Restore(kept, time.Now().UnixNano())
}

func readMemory(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxMemory {
		return nil, fmt.Errorf("%s has %d bytes", path, info.Size())
	}
	return os.ReadFile(path)
}

// remember writes it.
func (r *running) remember() {
	state := r.engine.State()
	text, err := json.Marshal(state.Snapshot(time.Now().UnixNano()))
	if err == nil {
		err = renameio.WriteFile(memoryPath(r.cfg.StateDir), text, 0o600)
	}
	err = errors.Join(err, state.Save(func(name string, text []byte) error {
		if !plain(name) {
			return fmt.Errorf("%q is not a name of a file alone", name)
		}
		dir := datasetDir(r.cfg.StateDir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		return renameio.WriteFile(filepath.Join(dir, name), text, 0o600)
	}))
	r.remembered = time.Now()
	if err != nil {
		r.deps.Log.Warn("what the matcher remembers is not on disk", "err", err)
	}
}

// remember writes what a running matcher remembers, if it is time.
func (s *Section) remember() {
	s.change.Lock()
	defer s.change.Unlock()
	if r := s.running; r != nil && time.Since(r.remembered) >= rememberInterval {
		r.remember()
	}
}

// reputation is what sets say of addresses.
type reputation struct {
	categories string
	lists      []string
}

func (p *reputation) take(set *ruleset.Set) {
	if set.ReputationCategories.Text == "" {
		return
	}
	p.categories += set.ReputationCategories.Text + "\n"
	for _, f := range set.Reputation {
		p.lists = append(p.lists, f.Text)
	}
}

// know puts what sets say of addresses in force. What is not to be read leaves what was.
func (r *running) know(l *Loaded) {
	if err := r.engine.State().LoadReputation(l.reputation.categories, l.reputation.lists...); err != nil {
		r.deps.Log.Warn("the reputation of addresses is not renewed", "err", err)
	}
}
