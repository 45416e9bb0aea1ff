package ruleset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"ngfw.sh/dataplane/ids/rule"
)

// Set is what a source holds.
type Set struct {
	Name  string
	Files []rule.File // of rules, in the archive's order
	// Classification and References are the texts that came along, or empty.
	Classification, References rule.File
}

// unpack reads a set from the bytes of a source.
func unpack(name string, data []byte, limit int64) (*Set, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			data, err = whole(z, limit)
		}
		if err != nil {
			return nil, fmt.Errorf("unzip: %w", err)
		}
	}
	set := &Set{Name: name}
	if !isTar(data) {
		if bytes.IndexByte(data, 0) >= 0 {
			return nil, errors.New("is neither a text of rules nor a tar archive")
		}
		set.Files = []rule.File{{Name: name, Text: string(data)}}
		return set, set.check()
	}
	archive := tar.NewReader(bytes.NewReader(data))
	left := limit // of all files: one that is mostly holes is larger than its archive
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return set, set.check()
		}
		if err != nil {
			return nil, fmt.Errorf("read the archive: %w", err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		base := path.Base(h.Name)
		if base != "classification.config" && base != "reference.config" && !strings.HasSuffix(base, ".rules") {
			continue
		}
		text, err := whole(archive, left)
		if err != nil {
			return nil, fmt.Errorf("read %.255q of the archive: %w", h.Name, err)
		}
		left -= int64(len(text))
		switch f := (rule.File{Name: name + "/" + base, Text: string(text)}); base {
		case "classification.config":
			set.Classification = f
		case "reference.config":
			set.References = f
		default:
			set.Files = append(set.Files, f)
		}
	}
}

// isTar: the magic of POSIX archives stands behind the first header's name.
func isTar(data []byte) bool {
	return len(data) > 262 && string(data[257:262]) == "ustar"
}

// check refuses what holds no rules: a page that says "not found" with status 200, say.
func (s *Set) check() error {
	for _, f := range s.Files {
		for line := range strings.Lines(f.Text) {
			first, _, _ := strings.Cut(strings.TrimSpace(strings.TrimLeft(line, "# \t")), " ")
			switch first {
			case "alert", "pass", "drop", "reject", "rejectsrc", "rejectdst", "rejectboth":
				return nil
			}
		}
	}
	return errors.New("holds no rules")
}
