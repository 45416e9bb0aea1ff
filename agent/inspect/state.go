package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"ngfw.sh/config/ids"
)

const stateFormat = 1

type state struct {
	Format   int             `json:"format"`
	Version  int64           `json:"version"`
	Document json.RawMessage `json:"document"`
}

var errNewer = errors.New("the stored section ids is of a newer version")

func statePath(dir string) string { return filepath.Join(dir, "ids.json") }

func readState(dir string) (version int64, document []byte, ok bool, err error) {
	data, err := os.ReadFile(statePath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil, false, nil
	}
	if err != nil {
		return 0, nil, false, fmt.Errorf("read the stored section ids: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return 0, nil, false, fmt.Errorf("%s is damaged: %w", statePath(dir), err)
	}
	if s.Format > stateFormat {
		return 0, nil, false, fmt.Errorf("%w: %s has format %d, this binary knows %d: start the newer ngfw-agent", errNewer, statePath(dir), s.Format, stateFormat)
	}
	return s.Version, s.Document, true, nil
}

func writeState(dir string, version int64, document []byte) error {
	data, err := json.Marshal(state{stateFormat, version, document})
	if err != nil {
		return err
	}
	doc, err := ids.Decode(document)
	if err != nil {
		return err
	}
	// Before the document where it closes, after it where it opens: in doubt it is closed.
	if shuts(doc) {
		if err := renameio.WriteFile(closedPath(dir), nil, 0o600); err != nil {
			return err
		}
	}
	if err := renameio.WriteFile(statePath(dir), data, 0o600); err != nil {
		return err
	}
	if shuts(doc) {
		return nil
	}
	if err := os.Remove(closedPath(dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// closedPath is a file that is there while the stored section has fail_open false. It is apart
// from the section, so that a section that is damaged does not open the router.
func closedPath(dir string) string { return filepath.Join(dir, "ids.closed") }

func failsClosed(dir string) bool {
	_, err := os.Stat(closedPath(dir))
	return !errors.Is(err, os.ErrNotExist)
}
