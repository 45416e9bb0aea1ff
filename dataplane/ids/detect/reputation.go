package detect

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"

	"ngfw.sh/dataplane/ids/rule"
)

// Reputation is what lists of addresses say of them, by category (manual, "IP Reputation
// Format"). It may be replaced while workers read it.
type Reputation struct {
	list atomic.Pointer[reputationList]
}

type reputationList struct {
	categories map[string]uint8
	hosts      map[netip.Addr][]score
	nets       []scoredNet
}

type score struct{ category, value uint8 }

type scoredNet struct {
	prefix netip.Prefix
	score
}

// LoadReputation replaces what is known: categories are lines of a number, a short
// name and a description, lists are lines of an address or prefix, a category's number and a
// value up to 127.
func (s *State) LoadReputation(categories string, lists ...string) error {
	l := &reputationList{categories: map[string]uint8{}, hosts: map[netip.Addr][]score{}}
	err := eachLine(categories, func(f []string) error {
		n, err := strconv.ParseUint(f[0], 10, 8)
		if err != nil || len(f) < 2 || n > 60 {
			return fmt.Errorf("a category is a number up to 60, a name, a description")
		}
		l.categories[f[1]] = uint8(n)
		return nil
	})
	for _, text := range lists {
		if err != nil {
			break
		}
		err = eachLine(text, l.add)
	}
	if err != nil {
		return fmt.Errorf("reputation: %w", err)
	}
	s.reputation.list.Store(l)
	return nil
}

func eachLine(text string, f func([]string) error) error {
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Split(line, ",")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if err := f(fields); err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return nil
}

func (l *reputationList) add(f []string) error {
	if len(f) < 3 {
		return fmt.Errorf("an entry is an address, a category, a value")
	}
	category, err1 := strconv.ParseUint(f[1], 10, 8)
	value, err2 := strconv.ParseUint(f[2], 10, 8)
	if err1 != nil || err2 != nil || value > 127 {
		return fmt.Errorf("%q is no category and value", f[1:])
	}
	s := score{uint8(category), uint8(value)}
	if p, err := netip.ParsePrefix(f[0]); err == nil {
		l.nets = append(l.nets, scoredNet{p.Masked(), s})
		return nil
	}
	a, err := netip.ParseAddr(f[0])
	if err != nil {
		return err
	}
	a = a.Unmap()
	l.hosts[a] = append(l.hosts[a], s)
	return nil
}

// of is an address's value in a category.
func (l *reputationList) of(a netip.Addr, category uint8) (uint8, bool) {
	for _, s := range l.hosts[a.Unmap()] {
		if s.category == category {
			return s.value, true
		}
	}
	best, bits := score{}, -1
	for i := range l.nets {
		n := &l.nets[i]
		if n.category == category && n.prefix.Bits() > bits && n.prefix.Contains(a.Unmap()) {
			best, bits = n.score, n.prefix.Bits()
		}
	}
	return best.value, bits >= 0
}

// check is the keyword iprep.
func (r *Reputation) check(x *rule.IPRep, src, dst netip.Addr) bool {
	l := r.list.Load()
	if l == nil {
		return false
	}
	category, ok := l.categories[x.Category]
	if !ok {
		return false
	}
	one := func(a netip.Addr) bool {
		v, known := l.of(a, category)
		switch x.Check {
		case rule.StateIsSet:
			return known
		case rule.StateIsNotSet:
			return !known
		}
		return known && x.Match(uint64(v))
	}
	switch x.Side {
	case rule.OfServer:
		return one(dst)
	case rule.OfClient:
		return one(src)
	case rule.OfBoth:
		return one(src) && one(dst)
	}
	return one(src) || one(dst)
}
