package cloud

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Problem is one wrong place in the configuration.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"` // 0: it stands in no file, but comes from a flag or is missing
	Key     string `json:"key,omitempty"`  // tls.names[1]
	Message string `json:"message"`
}

func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
		if p.Line > 0 {
			fmt.Fprintf(&b, "%d:", p.Line)
		}
		b.WriteString(" ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	return b.String() + p.Message
}

// Problems is an error that tells all of them, one a line.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// File is a configuration file, kept to tell where a key stands.
type File struct {
	name string
	tree *ast.File
}

// ReadConfig reads the file over the defaults. It is strict: an unknown key, a
// key given twice and a value of the wrong kind are errors with their line.
// What the values mean is Check's.
func ReadConfig(name string) (Config, *File, error) {
	cfg := DefaultConfig()
	text, err := os.ReadFile(name)
	if err != nil {
		return cfg, nil, fmt.Errorf("read the configuration: %w", err)
	}
	f := &File{name: name}
	if f.tree, err = parser.ParseBytes(text, 0); err != nil {
		return cfg, f, Problems{f.problem(err)}
	}
	if len(f.tree.Docs) > 1 {
		p := Problem{File: name, Message: "one document is enough: remove what follows the ---"}
		if at := f.tree.Docs[1].Start; at != nil {
			p.Line = at.Position.Line
		}
		return cfg, f, Problems{p}
	}
	if len(f.tree.Docs) == 0 || f.tree.Docs[0].Body == nil {
		return cfg, f, nil
	}
	// First with the keys that have no value, so that they are known ones, then
	// without: a section whose lines are all commented out keeps its defaults.
	body := f.tree.Docs[0].Body
	if err := yaml.NodeToValue(body, new(Config), yaml.Strict()); err != nil {
		return cfg, f, Problems{f.problem(err)}
	}
	if !dropNulls(body) {
		return cfg, f, nil
	}
	if err := yaml.NodeToValue(body, &cfg, yaml.Strict()); err != nil {
		return cfg, f, Problems{f.problem(err)}
	}
	return cfg, f, nil
}

// dropNulls removes the keys without a value from the mappings below a node;
// false when nothing is left of it.
func dropNulls(n ast.Node) bool {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		return n.Type() != ast.NullType && n.Type() != ast.CommentType
	}
	m.Values = slices.DeleteFunc(m.Values, func(v *ast.MappingValueNode) bool { return !dropNulls(v.Value) })
	return len(m.Values) > 0
}

// problem is the parser's or decoder's error.
func (f *File) problem(err error) Problem {
	p := Problem{File: f.name, Message: err.Error()}
	if y := yaml.Error(nil); errors.As(err, &y) {
		p.Message = y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			p.Line = t.Position.Line
		}
	}
	return p
}

// place fills in file and line of a problem whose key, or the mapping that the
// key is missing in, stands in the file. f may be nil.
func (f *File) place(p Problem) Problem {
	if f == nil || f.tree == nil {
		return p
	}
	for key := p.Key; key != ""; key = parent(key) {
		path, err := yaml.PathString("$." + key)
		if err != nil {
			return p
		}
		if node, err := path.FilterFile(f.tree); err == nil && node != nil {
			p.File, p.Line = f.name, node.GetToken().Position.Line
			return p
		}
	}
	return p
}

// parent cuts the last step off a key: tls.names[1], tls.names, tls.
func parent(key string) string { return key[:max(strings.LastIndexAny(key, ".["), 0)] }
