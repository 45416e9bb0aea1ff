package firewall

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"ngfw.sh/policy"
)

const (
	stateFormat = 2 // 1: every legend whole
	// keptLegends bounds the revisions whose names are remembered. A flow is
	// judged again by its next packet, so older ones are of silent flows.
	keptLegends = 64
)

// state is what the section keeps on disk.
type state struct {
	Format   int             `json:"format"`
	Version  int64           `json:"version"`
	Document json.RawMessage `json:"document"`
	Legends  []policy.Legend `json:"-"` // newest last

	Stored []storedLegend `json:"legends"` // Legends on disk
}

func (s *state) remember(l policy.Legend) {
	for i := range s.Legends {
		if s.Legends[i].Revision == l.Revision {
			s.Legends[i] = l
			return
		}
	}
	s.Legends = append(s.Legends, l)
	if n := len(s.Legends) - keptLegends; n > 0 {
		s.Legends = s.Legends[n:]
	}
}

func (s *state) legend(revision int64) policy.Legend {
	for _, l := range s.Legends {
		if l.Revision == revision {
			return l
		}
	}
	return policy.Legend{Revision: revision}
}

func statePath(dir string) string { return filepath.Join(dir, "firewall.json") }

func readState(dir string) (state, bool, error) {
	var s state
	data, err := os.ReadFile(statePath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("read the stored firewall section: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, false, fmt.Errorf("%s is damaged: %w: remove it, the cloud sends the section again", statePath(dir), err)
	}
	if s.Format > stateFormat {
		return s, false, fmt.Errorf("%s has format %d, this binary knows %d: start the newer ngfw-agent", statePath(dir), s.Format, stateFormat)
	}
	if s.Format < stateFormat {
		// The next write is of the newer format: a binary of before finds its own here.
		if err := renameio.WriteFile(fmt.Sprintf("%s.%d", statePath(dir), s.Format), data, 0o600); err != nil {
			return s, false, fmt.Errorf("keep the stored firewall section of format %d: %w", s.Format, err)
		}
	}
	s.Legends = unstored(s.Stored)
	s.Stored = nil
	return s, true, nil
}

// writeState replaces the file by rename: a crash leaves the old or the new.
func writeState(dir string, s state) error {
	s.Format, s.Stored = stateFormat, stored(s.Legends)
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return renameio.WriteFile(statePath(dir), data, 0o600)
}
