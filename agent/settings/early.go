package settings

import (
	"fmt"
	"path/filepath"
)

// DropList is a file of prefixes whose packets are dropped before the policy
// sees them. The file is read again when it changes.
type DropList struct {
	Name  string `yaml:"name"`
	File  string `yaml:"file"`
	Match string `yaml:"match,omitempty"` // either, source, destination
}

// Guards are flood guards; a rate of 0 is none.
type Guards struct {
	NewFlowsPerSource Rate `yaml:"new_flows_per_source,omitempty"` // an IPv4 address or an IPv6 /64
	SYNsPerInterface  Rate `yaml:"syns_per_interface,omitempty"`
}

// Rate is so many a second in the long run, and so many at once: as many as in a
// second, if burst is 0.
type Rate struct {
	PerSecond uint32 `yaml:"per_second"`
	Burst     uint32 `yaml:"burst,omitempty"`
}

// As dataplane/droplist bounds them.
const (
	maxDropLists = 63
	maxListName  = 63
	maxRate      = 10_000_000
)

func (s Settings) validateEarly(refuse func(path, format string, args ...any)) {
	if len(s.DropLists) > maxDropLists {
		refuse("drop_lists", "%d lists, at most %d", len(s.DropLists), maxDropLists)
	}
	names := map[string]bool{}
	for i, l := range s.DropLists {
		at := func(key string) string { return fmt.Sprintf("drop_lists[%d].%s", i, key) }
		switch {
		case l.Name == "" || len(l.Name) > maxListName:
			refuse(at("name"), "%q has not 1 to %d bytes", l.Name, maxListName)
		case names[l.Name]:
			refuse(at("name"), "two lists are called %q", l.Name)
		}
		names[l.Name] = true
		if !filepath.IsAbs(l.File) {
			refuse(at("file"), "%q is not an absolute path", l.File)
		}
		oneOf(refuse, at("match"), l.Match, "", "either", "source", "destination")
	}
	for key, r := range map[string]Rate{"new_flows_per_source": s.Guards.NewFlowsPerSource, "syns_per_interface": s.Guards.SYNsPerInterface} {
		if r.PerSecond > maxRate || r.Burst > maxRate {
			refuse("guards."+key, "at most %d", maxRate)
		}
		if r.PerSecond == 0 && r.Burst > 0 {
			refuse("guards."+key+".per_second", "a burst without a rate")
		}
	}
}
