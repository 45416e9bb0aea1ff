// Package ruleset owns the router's copies of rule sets: fetched from their
// addresses or read from files, checked, and kept on disk, so that a router that starts
// without a network inspects by what it had.
//
// A copy is replaced only by one that was read whole, has the wanted hash, and
// holds rules; until then the old one stays. A set may be a text of rules, gzipped or
// not, or a tar archive of such texts, with classification.config and reference.config
// beside them.
//
// A Store is for one goroutine at a time. It does not parse rules.
package ruleset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"ngfw.sh/config/ids"
	"ngfw.sh/internal/outside"
)

// Config bounds what is fetched.
type Config struct {
	Dir     string        // holds the copies
	Bytes   int64         // of a set as fetched, and of what it unpacks to
	Timeout time.Duration // of one fetch
}

// DefaultConfig takes sets of up to 256 MiB.
func DefaultConfig(dir string) Config {
	return Config{Dir: dir, Bytes: 256 << 20, Timeout: 5 * time.Minute}
}

// Store holds the copies.
type Store struct {
	cfg    Config
	client *http.Client
}

// New makes a store; client nil: one that asks no address of this host alone.
func New(cfg Config, client *http.Client) *Store {
	if client == nil {
		client = outside.Client(outside.Config{Private: true})
	}
	return &Store{cfg: cfg, client: client}
}

// origin is what is known of a copy.
type origin struct {
	URL          string `json:"url"`
	SHA256       string `json:"sha256"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	FetchedAt    int64  `json:"fetched_at"`
}

// Get gives the set of a source: fetched anew if it has an address and fresh asks
// for that, else the copy, else fetched. With a set and an error, the set is the old
// copy and the error why there is no new one.
func (s *Store) Get(ctx context.Context, source ids.Source, fresh bool) (*Set, error) {
	if source.File != "" {
		return s.read(source)
	}
	old, had, err := s.load(source)
	if err == nil && !fresh {
		return old, nil
	}
	if err != nil {
		old, had = nil, origin{}
	}
	set, err := s.fetch(ctx, source, had, old)
	if err != nil {
		return old, fmt.Errorf("cannot be fetched: %w", err)
	}
	return set, nil
}

// read takes a file of the operator's.
func (s *Store) read(source ids.Source) (*Set, error) {
	// A pipe would be waited for.
	f, err := os.OpenFile(source.File, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err // names the file
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is not a regular file")
	}
	var data []byte
	if err == nil {
		data, err = whole(f, s.cfg.Bytes)
	}
	if err == nil {
		err = verify(data, source.SHA256)
	}
	var set *Set
	if err == nil {
		set, err = unpack(source.Name, data, s.cfg.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", source.File, err)
	}
	return set, nil
}

var errNoCopy = errors.New("there is no copy")

// load reads the copy of a source, if it is one of that address and hash.
func (s *Store) load(source ids.Source) (*Set, origin, error) {
	var had origin
	text, err := os.ReadFile(s.path(source, ".json"))
	if err != nil {
		return nil, had, errNoCopy
	}
	if err := json.Unmarshal(text, &had); err != nil || had.URL != source.URL {
		return nil, had, errNoCopy
	}
	data, err := os.ReadFile(s.path(source, ".data"))
	if err != nil || verify(data, had.SHA256) != nil || verify(data, source.SHA256) != nil {
		return nil, had, errNoCopy
	}
	set, err := unpack(source.Name, data, s.cfg.Bytes)
	return set, had, err
}

func (s *Store) fetch(ctx context.Context, source ids.Source, had origin, old *Set) (*Set, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, source.URL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "ngfw-agent")
	if old != nil && had.ETag != "" {
		req.Header.Set("If-None-Match", had.ETag)
	} else if old != nil && had.LastModified != "" {
		req.Header.Set("If-Modified-Since", had.LastModified)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotModified && old != nil:
		return old, nil
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the server answers %s", res.Status)
	}
	data, err := whole(res.Body, s.cfg.Bytes)
	if err == nil {
		err = verify(data, source.SHA256)
	}
	if err != nil {
		return nil, err
	}
	set, err := unpack(source.Name, data, s.cfg.Bytes)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	now := origin{
		URL: source.URL, SHA256: hex.EncodeToString(sum[:]), ETag: res.Header.Get("ETag"), LastModified: res.Header.Get("Last-Modified"),
		FetchedAt: time.Now().Unix(),
	}
	if err := s.keep(source, data, now); err != nil {
		return set, fmt.Errorf("keep a copy: %w", err)
	}
	return set, nil
}

// keep replaces the copy. Between the two renames the old description does not fit
// the new data, and the copy counts as none.
func (s *Store) keep(source ids.Source, data []byte, now origin) error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(s.path(source, ".data"), data, 0o600); err != nil {
		return err
	}
	return renameio.WriteFile(s.path(source, ".json"), text, 0o600)
}

// path names a file of a source's copy. The name is the operator's and may hold
// anything, so it is hashed.
func (s *Store) path(source ids.Source, end string) string {
	sum := sha256.Sum256([]byte(source.Name))
	return filepath.Join(s.cfg.Dir, hex.EncodeToString(sum[:8])+end)
}

// Prune removes copies of sources that are no more.
func (s *Store) Prune(sources []ids.Source) error {
	keep := map[string]bool{}
	for _, source := range sources {
		keep[s.path(source, ".data")], keep[s.path(source, ".json")] = true, true
	}
	files, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if !keep[f] {
			err = errors.Join(err, os.Remove(f))
		}
	}
	return err
}

func whole(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("is larger than %d bytes", limit)
	}
	return data, err
}

func verify(data []byte, want string) error {
	if want == "" {
		return nil
	}
	sum := sha256.Sum256(data)
	b, err := hex.DecodeString(want)
	if err != nil || !bytes.Equal(sum[:], b) {
		return fmt.Errorf("its SHA-256 is %x, wanted is %s", sum, want)
	}
	return nil
}
