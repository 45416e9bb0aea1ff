package policy

import (
	"maps"
	"reflect"
	"runtime"
	"slices"
	"sync"
)

// Compiler compiles policies and remembers how, so that the next one costs what
// has changed in it. Its images are those of the function Compile, to the last
// byte: memory saves work and decides nothing. The zero value remembers nothing.
//
// What it remembers of a rule (its parsed and resolved form) holds as long as
// the rule's text, the zones, the groups, the router's addresses and the named
// countries are the same; what it remembers of trees holds wherever the same
// boxes stand in the same order. That takes about as much memory as a policy and
// its image. Images share the names of rules, which nobody may change. A
// Compiler is not safe for concurrent use.
type Compiler struct {
	memory
	forests map[forestKey]*forestMemo
}

// memory is what the last policy that compiled leaves.
type memory struct {
	world world
	forms map[int64]*ruleForm // by the rule's id, disabled ones too
	names map[int64]string    // of a Legend
}

// world is what rules are judged and resolved in.
type world struct {
	zones     map[string]bool
	groups    []Group
	self      []span
	countries map[string][]span
}

func (w *world) equal(o *world) bool {
	return w.named(o.zones, o.groups) && slices.Equal(w.self, o.self) && maps.EqualFunc(w.countries, o.countries, slices.Equal)
}

// named says whether zones and groups are those of this world.
func (w *world) named(zones map[string]bool, groups []Group) bool {
	return w.zones != nil && maps.Equal(w.zones, zones) && reflect.DeepEqual(w.groups, groups)
}

// Validate is as the function. A policy that is validated before it is compiled
// costs little twice.
func (c *Compiler) Validate(p Policy) error { return c.validate(&p, new(memory)) }

// validate is Validate. A rule that was valid among these zones and groups is.
func (c *Compiler) validate(p *Policy, kept *memory) error {
	v := newValidator(p)
	v.checkZones()
	kept.world.zones = v.zones
	if v.err() == nil && c.world.named(v.zones, p.Groups) {
		kept.world.groups = c.world.groups
		v.known = c.forms
		for _, g := range p.Groups {
			v.groups[g.Name] = g.Type
		}
	} else {
		v.checkGroups()
		for _, g := range p.Groups {
			g.Members = slices.Clone(g.Members)
			kept.world.groups = append(kept.world.groups, g)
		}
	}
	v.checkRules()
	v.checkDefaults()
	v.checkNAT()
	return v.err()
}

// forestKey names a pair, by its zones, and a family; or without zones one of the
// NAT table's trees.
type forestKey struct {
	from, to string
	tree     uint8
}

func (c *Compiler) forest(key forestKey) *forestMemo {
	if c.forests == nil {
		c.forests = map[forestKey]*forestMemo{}
	}
	if c.forests[key] == nil {
		c.forests[key] = &forestMemo{}
	}
	c.forests[key].used = true
	return c.forests[key]
}

// forget lets go of trees that the last compilation had no use for.
func (c *Compiler) forget() {
	maps.DeleteFunc(c.forests, func(_ forestKey, m *forestMemo) bool { return !m.used })
	for _, m := range c.forests {
		m.used = false
		m.compact()
	}
}

// apart calls f for parts of 0 … n-1, on all cores where that pays.
func apart(n int, f func(from, to int)) {
	const worthwhile = 512
	cores := min(runtime.GOMAXPROCS(0), n/worthwhile)
	if cores < 2 {
		f(0, n)
		return
	}
	var all sync.WaitGroup
	for i := range cores {
		all.Go(func() { f(n*i/cores, n*(i+1)/cores) })
	}
	all.Wait()
}
