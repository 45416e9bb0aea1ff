package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/google/renameio/v2"
)

// Change is one top-level setting to write: a string, a bool, or nil to remove
// it.
type Change struct {
	Key   string
	Value any
}

// Edit changes settings in the file at path, or makes it, and leaves everything
// else in it, comments included, as it is. The file is replaced at once, can be
// read by its owner alone, and is written only if what comes out is valid.
func Edit(path string, changes ...Change) (Settings, error) {
	// Through a link, so that the link stays.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Settings{}, err
	}
	after, err := rewrite(before, changes)
	if err != nil {
		return Settings{}, fmt.Errorf("%s: %w", path, err)
	}
	s, err := Parse(after)
	if err != nil {
		return Settings{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return Settings{}, err
	}
	if err := replace(path, after); err != nil {
		return Settings{}, fmt.Errorf("write %s: %w", path, err)
	}
	return s, nil
}

// replace is renameio.WriteFile without taking over the mode of the old file,
// which may have been too open.
func replace(path string, content []byte) error {
	f, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// rewrite works on lines: a top-level setting is the lines from its key to the
// next top-level key, of which the syntax tree gives the first.
func rewrite(b []byte, changes []Change) ([]byte, error) {
	for _, c := range changes {
		line, err := c.line()
		if err != nil {
			return nil, err
		}
		first, end, err := locate(b, c.Key)
		if err != nil {
			return nil, err
		}
		lines := bytes.SplitAfter(b, []byte("\n"))
		var out []byte
		if first < 0 {
			out = append(out, b...)
			if len(out) > 0 && out[len(out)-1] != '\n' {
				out = append(out, '\n')
			}
			out = append(out, line...)
		} else {
			out = append(out, bytes.Join(lines[:first], nil)...)
			out = append(out, line...)
			out = append(out, bytes.Join(lines[end:], nil)...)
		}
		b = out
	}
	return b, nil
}

func (c Change) line() ([]byte, error) {
	switch v := c.Value.(type) {
	case nil:
		return nil, nil
	case bool:
		return fmt.Appendf(nil, "%s: %t\n", c.Key, v), nil
	case string:
		return fmt.Appendf(nil, "%s: %s\n", c.Key, strconv.Quote(v)), nil
	}
	return nil, fmt.Errorf("%s: cannot write a %T", c.Key, c.Value)
}

// locate finds the lines [first, end) of a top-level key, first -1 when it is
// not there. Comments and blank lines behind a value belong to what follows.
func locate(b []byte, key string) (first, end int, err error) {
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return 0, 0, malformed(err)
	}
	if len(f.Docs) > 1 {
		return 0, 0, errors.New("there is a second document; the settings are one")
	}
	if len(f.Docs) == 0 || f.Docs[0].Body == nil {
		return -1, -1, nil
	}
	var values []*ast.MappingValueNode
	switch body := f.Docs[0].Body.(type) {
	case *ast.MappingNode:
		if body.IsFlowStyle {
			return 0, 0, errors.New("the settings are written in braces: write one a line")
		}
		values = body.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{body}
	case *ast.NullNode, *ast.CommentGroupNode:
		return -1, -1, nil
	default:
		return 0, 0, errors.New("the file is not a list of settings")
	}
	for i, v := range values {
		if v.Key.GetToken().Value != key {
			continue
		}
		lines := bytes.SplitAfter(b, []byte("\n"))
		first, end = v.Key.GetToken().Position.Line-1, len(lines)
		if i+1 < len(values) {
			end = values[i+1].Key.GetToken().Position.Line - 1
		}
		for end > first+1 && passive(lines[end-1]) {
			end--
		}
		return first, end, nil
	}
	return -1, -1, nil
}

func passive(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) == 0 || line[0] == '#' || bytes.Equal(line, []byte("..."))
}
