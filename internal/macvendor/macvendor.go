// Package macvendor owns who a network card's address is assigned to, by the IEEE's
// registries as it publishes them in CSV (oui.csv, mam.csv, oui36.csv; Debian's
// package ieee-data has them in /usr/share/ieee-data).
//
// A Registry does not change; it is safe for concurrent use.
package macvendor

import (
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Registry knows blocks of addresses by their first bits.
type Registry struct {
	blocks map[block]string
}

type block struct {
	bits   uint8
	prefix uint64
}

// The lengths of assigned blocks, the longest first: MA-S, MA-M, MA-L.
var lengths = []uint8{36, 28, 24}

// maxSize bounds a file: all of the IEEE's large blocks are some 4 MB.
const maxSize = 64 << 20

// Open reads a registry, or all *.csv of a directory.
func Open(path string) (*Registry, error) {
	files := []string{path}
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.csv")); err != nil {
			return nil, err
		}
	}
	r := &Registry{blocks: map[block]string{}}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		err = r.read(io.LimitReader(f, maxSize))
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(r.blocks) == 0 {
		return nil, fmt.Errorf("%s: there is no assignment in it: the IEEE's oui.csv, mam.csv and oui36.csv have some", path)
	}
	return r, nil
}

// read adds a file's assignments. Other files of the registries (of CIDs, IABs) have
// the same columns and are taken for what their lengths say.
func (r *Registry) read(in io.Reader) error {
	c := csv.NewReader(in)
	c.LazyQuotes, c.FieldsPerRecord, c.ReuseRecord = true, -1, true
	names := map[string]string{} // most hold many blocks
	for first := true; ; first = false {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if first && (len(record) < 3 || strings.TrimPrefix(record[0], "\ufeff") != "Registry" || record[1] != "Assignment") {
			return errors.New("it does not begin with the columns Registry, Assignment, Organization Name")
		}
		if len(record) < 3 {
			continue
		}
		digits := record[1]
		bits := uint8(4 * min(len(digits), 16))
		if bits != 24 && bits != 28 && bits != 36 {
			continue
		}
		raw, err := hex.DecodeString(digits + strings.Repeat("0", 16-len(digits)))
		if err != nil {
			continue
		}
		name := strings.TrimSpace(record[2])
		if known, ok := names[name]; ok {
			name = known
		} else {
			name = strings.Clone(name)
			names[name] = name
		}
		r.blocks[block{bits, number(raw)}] = name
	}
}

func number(b []byte) uint64 {
	var n uint64
	for _, x := range b[:8] {
		n = n<<8 | uint64(x)
	}
	return n
}

// Vendor is who the address's block is assigned to; "" where it is not known, or the
// address was made up on the spot (locally administered, as phones do).
func (r *Registry) Vendor(mac net.HardwareAddr) string {
	if len(mac) != 6 || mac[0]&2 != 0 {
		return ""
	}
	n := number(append(append([]byte{}, mac...), 0, 0))
	for _, bits := range lengths {
		if name, ok := r.blocks[block{bits, n &^ (1<<(64-bits) - 1)}]; ok {
			return name
		}
	}
	return ""
}
