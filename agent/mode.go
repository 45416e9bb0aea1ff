package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/renameio/v2"

	"ngfw.sh/internal/fault"
)

// Modes of a device: what becomes of a configuration that the cloud sends.
const (
	modeObserve  = "observe"  // report, apply nothing
	modeShadow   = "shadow"   // the same, until differences are reported
	modeTakeover = "takeover" // apply
)

// mode is how the device works, by section where one differs. It is kept on
// disk. It is safe for concurrent use.
type mode struct {
	path string
	mu   sync.Mutex
	now  modeFile
}

type modeFile struct {
	Mode     string            `json:"mode"`
	Sections map[string]string `json:"sections,omitempty"`
}

func openMode(dir string) (*mode, error) {
	m := &mode{path: filepath.Join(dir, "mode.json"), now: modeFile{Mode: modeTakeover}}
	data, err := os.ReadFile(m.path)
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the mode: %w", err)
	}
	m.now = modeFile{} // nothing of the default where the file says nothing
	if err := json.Unmarshal(data, &m.now); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w: remove it, the cloud sends the mode again", m.path, err)
	}
	if err := m.now.check(); err != nil {
		return nil, fmt.Errorf("%s: %w: remove it, the cloud sends the mode again, or start the newer ngfw-agent", m.path, err)
	}
	return m, nil
}

// check knows every mode that is named.
func (f modeFile) check() error {
	for _, n := range append([]string{f.Mode}, values(f.Sections)...) {
		if n != modeObserve && n != modeShadow && n != modeTakeover {
			return fault.Invalid("mode", "mode %q is none of observe, shadow, takeover", n)
		}
	}
	return nil
}

func (m *mode) set(name string, sections map[string]string) error {
	next := modeFile{Mode: name, Sections: maps.Clone(sections)}
	if err := next.check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(m.path, data, 0o600); err != nil {
		return fmt.Errorf("store the mode: %w", err)
	}
	m.now = next
	return nil
}

func (m *mode) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now.Mode
}

// allows says why a section may not be applied now.
func (m *mode) allows(section string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	how := m.now.Mode
	if s, ok := m.now.Sections[section]; ok {
		how = s
	}
	if how == modeTakeover {
		return nil
	}
	return fault.New(fault.Conflict, "the device is in mode %s: section %s is not applied", how, section)
}

func values(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}
