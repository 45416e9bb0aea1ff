package policy

import (
	"fmt"
	"net/netip"
	"slices"
)

// MaxImageEntries bounds the entries of all zone pairs together: zone pairs
// with the same rules share theirs.
const MaxImageEntries = 1 << 18

// Compile turns a policy into the tables that the packet programs read. A
// policy that is not valid or is too large for the tables does not compile;
// nothing is ever compiled in part. Time and memory are bounded by the policy's
// size and the limits: what would be too large is counted, not built. The image
// shares nothing with the policy.
func Compile(p Policy, env Env) (*Image, error) {
	return new(Compiler).Compile(p, env)
}

// Compile is as the function, for who compiles again and again.
func (c *Compiler) Compile(p Policy, env Env) (*Image, error) {
	var kept memory
	if err := c.validate(&p, &kept); err != nil {
		return nil, err
	}
	resolve, err := newResolver(&p, env)
	if err != nil {
		return nil, err
	}
	kept.world.self, kept.world.countries = resolve.self, resolve.countries
	w := compiler{policy: &p, memory: c, image: newImage(&p, env)}
	if err := w.compile(resolve, &kept); err != nil {
		// What is remembered may be in part of a policy that does not compile.
		*c = Compiler{}
		return nil, err
	}
	c.memory = kept
	c.forget()
	return w.image, nil
}

func (c *compiler) compile(resolve *resolver, kept *memory) error {
	if err := c.resolveRules(resolve, kept); err != nil {
		return err
	}
	c.image.Legend = c.legend(kept)
	if err := c.pairs(); err != nil {
		return err
	}
	if err := compileNAT(resolve, c.policy, c.image, c.memory); err != nil {
		return err
	}
	return c.finish()
}

// resolveRules gives every enabled rule that matches anything its form.
func (c *compiler) resolveRules(resolve *resolver, kept *memory) error {
	rules := c.policy.Rules
	known := c.memory.world.equal(&kept.world)
	forms, failed := make([]*ruleForm, len(rules)), make([]error, len(rules))
	apart(len(rules), func(from, to int) {
		for i := from; i < to; i++ {
			r := &rules[i]
			before := c.memory.forms[r.ID]
			if known && before != nil && before.of(r) {
				forms[i] = before
				continue
			}
			forms[i], failed[i] = formOfRule(resolve, i, r, before)
		}
	})
	kept.forms = make(map[int64]*ruleForm, len(rules))
	c.rules = make([]compiledRule, 0, len(rules))
	for i, f := range forms {
		if failed[i] != nil {
			return fmt.Errorf("compile rules[%d]: %w", i, failed[i])
		}
		kept.forms[rules[i].ID] = f
		if !rules[i].Enabled || f.match.boxes() == 0 {
			continue
		}
		f.match.number(&c.conditions)
		c.rules = append(c.rules, compiledRule{i, f})
	}
	return nil
}

// finish writes what stands behind the trees.
func (c *compiler) finish() error {
	zone, err := loadZone(c.policy.TimeZone)
	if err != nil {
		return err
	}
	c.image.Conditional = c.conditions.list
	if err := c.image.writeClock(zone, c.conditions.list); err != nil {
		return err
	}
	return c.conditions.write(c.image)
}

// newImage lays out zones and interfaces; every pair drops.
func newImage(p *Policy, env Env) *Image {
	im := &Image{
		Revision: p.Revision,
		Zones:    []string{ZoneIndexNone: "", ZoneIndexSelf: ZoneSelf}, Interfaces: map[string]uint8{},
		Masquerade: make([]bool, 2), MSSClamp: make([]bool, 2),
		System: env.System, Unsynchronised: env.ClockUnsynchronised,
	}
	for _, end := range env.Cloud {
		im.Cloud = append(im.Cloud, netip.AddrPortFrom(numberOf(end.Addr()).addr(), end.Port()))
	}
	for _, z := range p.Zones {
		if z.Name == ZoneSelf {
			continue
		}
		for _, name := range z.Interfaces {
			im.Interfaces[name] = uint8(len(im.Zones))
		}
		im.Zones = append(im.Zones, z.Name)
		im.Masquerade = append(im.Masquerade, z.Masquerade)
		im.MSSClamp = append(im.MSSClamp, z.MSSClamping)
	}
	im.Pairs = make([]Pair, len(im.Zones)*len(im.Zones))
	return im
}

// legend names the rules. Those of an unchanged list of names are one map.
func (c *compiler) legend(kept *memory) Legend {
	l := Legend{Revision: c.policy.Revision, Zones: slices.Clone(c.image.Zones), Rules: c.memory.names}
	same := l.Rules != nil && len(l.Rules) == len(c.policy.Rules)
	for i := 0; same && i < len(c.policy.Rules); i++ {
		name, ok := l.Rules[c.policy.Rules[i].ID]
		same = ok && name == c.policy.Rules[i].Name
	}
	if !same {
		l.Rules = make(map[int64]string, len(c.policy.Rules))
		for _, r := range c.policy.Rules {
			l.Rules[r.ID] = r.Name
		}
	}
	kept.names = l.Rules
	return l
}
