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
	// ReputationCategories and Reputation are what the set says of addresses (manual, "IP
	// Reputation Format"); Data are further texts that its rules name, such as datasets, by name.
	ReputationCategories rule.File
	Reputation           []rule.File
	Data                 map[string][]byte
}

// kind is what a file of an archive is to a set, by its name.
func kind(base string) string {
	switch path.Ext(base) {
	case ".rules":
		return "rules"
	case ".list":
		return "reputation"
	case ".lst", ".csv", ".json", ".jsonl", ".rep", ".md5", ".sha1", ".sha256":
		return "data"
	}
	switch base {
	case "classification.config", "reference.config":
		return base
	case "categories.txt", "iprep-categories.txt":
		return "categories"
	case "iprepdata.txt", "iprep-data.txt":
		return "reputation"
	}
	return ""
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
		is := kind(base)
		if is == "" {
			continue
		}
		text, err := whole(archive, left)
		if err != nil {
			return nil, fmt.Errorf("read %.255q of the archive: %w", h.Name, err)
		}
		left -= int64(len(text))
		switch f := (rule.File{Name: name + "/" + base, Text: string(text)}); is {
		case "classification.config":
			set.Classification = f
		case "reference.config":
			set.References = f
		case "categories":
			set.ReputationCategories = f
		case "reputation":
			set.Reputation = append(set.Reputation, f)
		case "data":
			if set.Data == nil {
				set.Data = map[string][]byte{}
			}
			set.Data[base] = text
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
