package shape

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

const stateFormat = 1

type state struct {
	Format   int             `json:"format"`
	Version  int64           `json:"version"`
	Document json.RawMessage `json:"document"`
}

func statePath(dir string) string { return filepath.Join(dir, "qos.json") }

func readState(dir string) (version int64, document []byte, ok bool, err error) {
	data, err := os.ReadFile(statePath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil, false, nil
	}
	if err != nil {
		return 0, nil, false, fmt.Errorf("read the stored section qos: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return 0, nil, false, fmt.Errorf("%s is damaged: %w: remove it, the cloud sends the section again", statePath(dir), err)
	}
	if s.Format > stateFormat {
		return 0, nil, false, fmt.Errorf("%s has format %d, this binary knows %d: start the newer ngfw-agent", statePath(dir), s.Format, stateFormat)
	}
	return s.Version, s.Document, true, nil
}

func writeState(dir string, version int64, document []byte) error {
	data, err := json.Marshal(state{stateFormat, version, document})
	if err != nil {
		return err
	}
	return renameio.WriteFile(statePath(dir), data, 0o600)
}
