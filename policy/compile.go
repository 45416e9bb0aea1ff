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
// policy that is not valid, asks for what is not enforced, or is too large for
// the tables does not compile; nothing is ever compiled in part. Time and
// memory are bounded by the policy's size and the limits: what would be too
// large is counted, not built.
func Compile(p Policy, env Env) (*Image, error) {
	if err := Validate(p); err != nil {
		return nil, err
	}
	if err := CheckEnforced(p); err != nil {
		return nil, err
	}
	resolve, err := newResolver(&p, env)
	if err != nil {
		return nil, err
	}
	c := compiler{policy: &p, image: newImage(&p, env)}
	for i, r := range p.Rules {
		if !r.Enabled {
			continue
		}
		m, err := compileRule(resolve, i, r)
		if err != nil {
			return nil, fmt.Errorf("compile rules[%d]: %w", i, err)
		}
		if m.boxes() > 0 {
			m.at = len(c.rules)
			c.rules = append(c.rules, m)
		}
	}
	if err := c.pairs(); err != nil {
		return nil, err
	}
	if err := compileNAT(resolve, &p, c.image); err != nil {
		return nil, err
	}
	return c.image, nil
}

// newImage lays out zones and interfaces; every pair drops.
func newImage(p *Policy, env Env) *Image {
	im := &Image{
		Revision: p.Revision,
		Zones:    []string{ZoneIndexNone: "", ZoneIndexSelf: ZoneSelf}, Interfaces: map[string]uint8{},
		Masquerade: make([]bool, 2), MSSClamp: make([]bool, 2),
		System: env.System,
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
	im.Legend = Legend{Revision: p.Revision, Zones: slices.Clone(im.Zones), Rules: make(map[int64]string, len(p.Rules))}
	for _, r := range p.Rules {
		im.Legend.Rules[r.ID] = r.Name
	}
	im.Pairs = make([]Pair, len(im.Zones)*len(im.Zones))
	return im
}
