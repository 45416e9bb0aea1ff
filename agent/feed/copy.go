package feed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// The last good copy of each list that is fetched is on disk: the text as it was
// fetched, and beside it what is known of it.
const (
	dataEnd   = ".list"
	originEnd = ".json"
)

// origin is what is known of a copy.
type origin struct {
	URL          string `json:"url"`
	SHA256       string `json:"sha256"`
	Prefixes     int    `json:"prefixes"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	FetchedAt    int64  `json:"fetched_at"`   // Unix seconds
	ConfirmedAt  int64  `json:"confirmed_at"` // when the server last said that it is its newest
}

func (o origin) confirmed() time.Time {
	if o.ConfirmedAt == 0 {
		return time.Time{}
	}
	return time.Unix(o.ConfirmedAt, 0)
}

var errNoCopy = errors.New("it has not been fetched yet")

// copyPath names a file of a source's copy. The name is the operator's and may
// hold anything, so it is hashed.
func (f *Feed) copyPath(s Source, end string) string {
	sum := sha256.Sum256([]byte(s.Name))
	return filepath.Join(f.cfg.Dir, hex.EncodeToString(sum[:8])+end)
}

// readCopy gives the copy, if it is one of that address and as it was written.
func (f *Feed) readCopy(s Source) ([]byte, origin, error) {
	var o origin
	text, err := os.ReadFile(f.copyPath(s, originEnd))
	if err != nil || json.Unmarshal(text, &o) != nil || o.URL != s.URL {
		return nil, origin{}, errNoCopy
	}
	data, err := os.ReadFile(f.copyPath(s, dataEnd))
	if err != nil {
		return nil, origin{}, errNoCopy
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != o.SHA256 {
		return nil, origin{}, errors.New("the copy on disk is not what was fetched")
	}
	return data, o, nil
}

// keepCopy replaces the copy. Between the two renames the old description does
// not fit the new data, and the copy counts as none. mu is held.
func (f *Feed) keepCopy(s Source, data []byte, o origin) error {
	sum := sha256.Sum256(data)
	o.SHA256 = hex.EncodeToString(sum[:])
	if err := os.MkdirAll(f.cfg.Dir, 0o700); err != nil {
		return err
	}
	if old, err := os.ReadFile(f.copyPath(s, dataEnd)); err != nil || !bytes.Equal(old, data) {
		if err := renameio.WriteFile(f.copyPath(s, dataEnd), data, 0o600); err != nil {
			return err
		}
	}
	return f.describe(s, o)
}

func (f *Feed) describe(s Source, o origin) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return renameio.WriteFile(f.copyPath(s, originEnd), text, 0o600)
}

// prune removes the copies of lists that are no more.
func (f *Feed) prune() error {
	if f.cfg.Dir == "" {
		return nil
	}
	keep := map[string]bool{}
	for _, s := range f.cfg.Sources {
		if s.URL != "" {
			keep[f.copyPath(s, dataEnd)], keep[f.copyPath(s, originEnd)] = true, true
		}
	}
	files, err := filepath.Glob(filepath.Join(f.cfg.Dir, "*"))
	for _, file := range files {
		if !keep[file] {
			err = errors.Join(err, os.Remove(file))
		}
	}
	return err
}
