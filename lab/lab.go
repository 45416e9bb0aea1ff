package lab

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
)

// DefaultName is the lab meant where none is named.
const DefaultName = "lab"

// Config says what lab to make.
type Config struct {
	Name string

	// Forward makes the router a plain one: it forwards from the start, without
	// a filter, and inet knows the way back to its IPv4 networks because nothing
	// translates them. Without it the router forwards nothing until whoever
	// filters there is ready and enables it.
	Forward bool

	// Owner binds the lab to a process: once that has ended the lab counts as
	// left over, and the next Up of its name removes it first.
	Owner Process
}

// DefaultConfig is a lab of the default name for a router that filters.
func DefaultConfig() Config { return Config{Name: DefaultName} }

// Lab is a lab by name. It holds nothing open: any process may use a lab that
// another one made.
type Lab struct {
	name string
}

// Names must leave room for the prefix and be safe in paths and command lines.
var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// Named returns the lab of that name, whether or not it exists.
func Named(name string) (*Lab, error) {
	if !validName.MatchString(name) {
		return nil, fmt.Errorf("lab name %q: use up to 40 of a-z, 0-9 and inner hyphens", name)
	}
	return &Lab{name: name}, nil
}

// Name is the lab's name.
func (l *Lab) Name() string { return l.name }

// Namespace is the name of the network namespace of a host.
func (l *Lab) Namespace(host string) string { return "ngfw-" + l.name + "-" + host }

// Dir is the lab's private directory (0700).
func (l *Lab) Dir() string { return filepath.Join(runDir, l.name) }

// BPFDir is a BPF file system of the lab's own: what is pinned there ends with
// the lab.
func (l *Lab) BPFDir() string { return filepath.Join(l.Dir(), "bpf") }

func (l *Lab) namespaceOf(host string) (string, error) {
	if !slices.Contains(Hosts, host) {
		return "", fmt.Errorf("no host %q in a lab: it has %v", host, Hosts)
	}
	return l.Namespace(host), nil
}
