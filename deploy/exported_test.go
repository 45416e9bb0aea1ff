package deploy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// metric is one that the code makes.
type metric struct {
	kind   string // Counter, Gauge, Histogram; "" where it is told at the scrape
	labels []string
	at     token.Position
}

const prometheusPath = "github.com/prometheus/client_golang/prometheus"

// exported reads the metrics of all packages out of their sources. A name that
// it cannot read is an error, so none is overlooked: running everything that
// registers metrics would need a router's kernel and a cloud in one process.
func exported(t *testing.T) map[string]metric {
	t.Helper()
	files := token.NewFileSet()
	packages := map[string]*source{}
	for _, top := range []string{"agent", "analytics", "cloud", "dataplane", "internal"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			dir := filepath.Dir(name)
			if packages[dir] == nil {
				packages[dir] = &source{files: files}
			}
			for _, i := range f.Imports {
				if i.Path.Value == strconv.Quote(prometheusPath) {
					packages[dir].syntax = append(packages[dir].syntax, f)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]metric{}
	for _, s := range packages {
		found, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		for name, m := range found {
			all[name] = m
		}
	}
	return all
}

// source is the part of a package that knows Prometheus.
type source struct {
	files  *token.FileSet
	syntax []*ast.File
}

// bound gives the parameters of a function their values at one call.
type bound map[string][]ast.Expr

// maker is a function around the making of metrics.
type maker struct {
	name   string
	params []string
	rest   bool // the last parameter takes what is left
}

// metrics finds prometheus.NewDesc(…) and prometheus.…Opts{…}, also within
// functions that are given a part of the name.
func (s *source) metrics() (map[string]metric, error) {
	found := map[string]metric{}
	for _, f := range s.syntax {
		var err error
		var within []ast.Node
		ast.Inspect(f, func(n ast.Node) bool {
			if n == nil {
				within = within[:len(within)-1]
				return true
			}
			within = append(within, n)
			if !makesMetric(n) || err != nil {
				return true
			}
			calls := []bound{nil}
			if m := enclosing(within); m != nil {
				if c := s.calls(*m); len(c) > 0 {
					calls = c
				}
			}
			for _, b := range calls {
				name, m, e := read(n, within, b)
				if e != nil {
					err = fmt.Errorf("%s: %w", s.files.Position(n.Pos()), e)
					return true
				}
				m.at = s.files.Position(n.Pos())
				found[name] = m
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// makesMetric knows what a metric's name is given to.
func makesMetric(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		return ofPrometheus(n.Fun) == "NewDesc"
	case *ast.CompositeLit:
		return strings.HasSuffix(ofPrometheus(n.Type), "Opts") && field(n, "Name") != nil
	}
	return false
}

// ofPrometheus is X in prometheus.X.
func ofPrometheus(e ast.Expr) string {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == "prometheus" {
			return sel.Sel.Name
		}
	}
	return ""
}

func field(lit *ast.CompositeLit, name string) ast.Expr {
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok && kv.Key.(*ast.Ident).Name == name {
			return kv.Value
		}
	}
	return nil
}

// enclosing is the nearest function with a name and parameters.
func enclosing(within []ast.Node) *maker {
	for i := len(within) - 1; i > 0; i-- {
		switch f := within[i].(type) {
		case *ast.FuncDecl:
			return newMaker(f.Name.Name, f.Type)
		case *ast.FuncLit:
			if a, ok := within[i-1].(*ast.AssignStmt); ok {
				if id, ok := a.Lhs[0].(*ast.Ident); ok {
					return newMaker(id.Name, f.Type)
				}
			}
		}
	}
	return nil
}

func newMaker(name string, f *ast.FuncType) *maker {
	m := &maker{name: name}
	for _, p := range f.Params.List {
		for _, id := range p.Names {
			m.params = append(m.params, id.Name)
		}
		_, m.rest = p.Type.(*ast.Ellipsis)
	}
	return m
}

// calls binds the function's parameters for each of its calls in the package.
// Those without a text for an argument are of a namesake, or make no metric.
func (s *source) calls(m maker) []bound {
	var out []bound
	for _, f := range s.syntax {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if id, ok := call.Fun.(*ast.Ident); !ok || id.Name != m.name {
				return true
			}
			b := bound{}
			for i, p := range m.params {
				switch {
				case m.rest && i == len(m.params)-1:
					b[p] = call.Args[min(i, len(call.Args)):]
				case i < len(call.Args):
					b[p] = call.Args[i : i+1]
				}
			}
			out = append(out, b)
			return true
		})
	}
	return out
}

// read evaluates a metric's name and labels.
func read(n ast.Node, within []ast.Node, b bound) (name string, m metric, err error) {
	var labels ast.Expr
	var parts []ast.Expr
	switch n := n.(type) {
	case *ast.CallExpr:
		parts, labels = []ast.Expr{n.Args[0]}, n.Args[2]
	case *ast.CompositeLit:
		m.kind = strings.TrimSuffix(ofPrometheus(n.Type), "Opts")
		parts = []ast.Expr{field(n, "Namespace"), field(n, "Subsystem"), field(n, "Name")}
		if call, ok := within[len(within)-2].(*ast.CallExpr); ok && len(call.Args) > 1 {
			labels = call.Args[1] // New…Vec(opts, labels), or New…Func(opts, function)
		}
		if c, ok := field(n, "ConstLabels").(*ast.CompositeLit); ok {
			for _, e := range c.Elts {
				label, err := words(e.(*ast.KeyValueExpr).Key, b)
				if err != nil {
					return "", m, err
				}
				m.labels = append(m.labels, label...)
			}
		}
	}
	var names []string
	for _, p := range parts {
		if p == nil {
			continue
		}
		w, err := words(p, b)
		if err != nil {
			return "", m, err
		}
		names = append(names, w...)
	}
	own, err := words(labels, b)
	m.labels = append(m.labels, own...)
	return strings.Join(names, "_"), m, err
}

// words evaluates a text or a list of texts.
func words(e ast.Expr, b bound) ([]string, error) {
	switch e := e.(type) {
	case nil, *ast.FuncLit:
		return nil, nil
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return []string{s}, err
	case *ast.BinaryExpr:
		x, err := words(e.X, b)
		if err != nil {
			return nil, err
		}
		y, err := words(e.Y, b)
		if err != nil {
			return nil, err
		}
		return []string{strings.Join(x, "") + strings.Join(y, "")}, nil
	case *ast.CompositeLit:
		return each(e.Elts, b)
	case *ast.Ident:
		if e.Name == "nil" {
			return nil, nil
		}
		if values, ok := b[e.Name]; ok {
			return each(values, nil)
		}
		return nil, fmt.Errorf("cannot tell what %s is", e.Name)
	}
	return nil, fmt.Errorf("cannot read a metric's name or labels from %T", e)
}

func each(all []ast.Expr, b bound) ([]string, error) {
	var out []string
	for _, e := range all {
		w, err := words(e, b)
		if err != nil {
			return nil, err
		}
		out = append(out, w...)
	}
	return out, nil
}
