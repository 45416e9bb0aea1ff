package ids

import (
	"fmt"
	"net/netip"
	"regexp"

	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/internal/fault"
)

// Bounds of a section.
const (
	MinUpdateInterval = 3600
	MaxUpdateInterval = 604800
	maxRules          = 10000
	maxList           = 1000
	maxRuleText       = 16 << 10
)

var variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`)

// findings gathers what is wrong.
type findings struct{ fields []fault.Field }

func (f *findings) add(path, format string, args ...any) {
	f.fields = append(f.fields, fault.Field{Path: path, Message: fmt.Sprintf(format, args...)})
}

func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// Validate judges a section as a whole. Its error names every wrong field by its
// JSON path.
func Validate(d Document) error {
	found := &findings{}
	if d.Mode != Detect && d.Mode != Prevent {
		found.add("mode", "must be detect or prevent, not %q", d.Mode)
	}
	if d.UpdateInterval < MinUpdateInterval || d.UpdateInterval > MaxUpdateInterval {
		found.add("update_interval", "must be between %d and %d seconds", MinUpdateInterval, MaxUpdateInterval)
	}
	if d.AlertThreshold < 0 || d.AlertThreshold > 1_000_000 {
		found.add("alert_threshold", "must be between 0, for all, and 1000000 alerts a minute")
	}
	for name, list := range map[string]int{
		"interfaces": len(d.Interfaces), "home_networks": len(d.HomeNetworks), "external_networks": len(d.ExternalNetworks),
		"excluded_networks": len(d.ExcludedNetworks), "sources": len(d.Sources), "suppressions": len(d.Suppressions), "variables": len(d.Variables),
	} {
		if list > maxList {
			found.add(name, "has more than %d members", maxList)
		}
	}
	for i, name := range d.Interfaces {
		if name == "" || len(name) > 15 {
			found.add(index("interfaces", i), "%q is not the name of an interface", name)
		}
	}
	if d.checkNetworks(found) {
		d.checkVariables(found)
	}
	names := map[string]bool{}
	for i, s := range d.Sources {
		at := index("sources", i)
		s.check(found, at)
		if names[s.Name] {
			found.add(at+".name", "another source is called %q", s.Name)
		}
		names[s.Name] = true
	}
	for i, c := range d.Categories {
		at := index("categories", i)
		if _, ok := KindOf(c.ID); !ok {
			found.add(at+".id", "there is no category %q", c.ID)
		}
		switch {
		case c.Mode != Detect && c.Mode != Prevent && c.Mode != Disabled:
			found.add(at+".mode", "must be detect, prevent or disabled, not %q", c.Mode)
		case c.Enabled == (c.Mode == Disabled):
			found.add(at+".enabled", "does not go with mode %s", c.Mode)
		}
	}
	if len(found.fields) == 0 {
		// Rules are read under the variables: only then.
		d.checkRules(found)
	}
	for i, s := range d.Suppressions {
		s.check(found, index("suppressions", i)+".")
	}
	if len(found.fields) > 0 {
		return fault.InvalidFields(found.fields...)
	}
	return nil
}

func (d Document) checkNetworks(found *findings) (ok bool) {
	before := len(found.fields)
	for name, list := range map[string][]string{
		"home_networks": d.HomeNetworks, "external_networks": d.ExternalNetworks, "excluded_networks": d.ExcludedNetworks,
	} {
		for i, n := range list {
			switch {
			case !isNetwork(n):
				found.add(index(name, i), "%q is neither an address nor a CIDR", n)
			case name == "excluded_networks" && n[0] == '!':
				found.add(index(name, i), "cannot be negated: list what is to be left out")
			}
		}
	}
	return len(found.fields) == before
}

// checkVariables looks at what variables come to. Each that is wrong is told once, at the field that is
// to blame: many are made of $HOME_NET, EXTERNAL_NET among them.
func (d Document) checkVariables(found *findings) {
	vars := Variables(d)
	resolver := rule.NewResolver(vars)
	if err := resolver.CheckVariable("HOME_NET"); err != nil {
		found.add("home_networks", "%v", err)
		return
	}
	if err := resolver.CheckVariable("EXTERNAL_NET"); err != nil {
		found.add("external_networks", "%v", err)
		return
	}
	for name := range d.Variables {
		at := "variables." + name
		switch {
		case !variableName.MatchString(name):
			found.add(at, "is no name of a variable: write capitals, digits and underscores")
			continue
		case name == "HOME_NET" || name == "EXTERNAL_NET":
			found.add(at, "is set by home_networks and external_networks")
			continue
		}
		if err := resolver.CheckVariable(name); err != nil {
			found.add(at, "%v", err)
		}
	}
}

func (d Document) checkRules(found *findings) {
	if len(d.Rules) > maxRules {
		found.add("rules", "has more than %d members", maxRules)
		return
	}
	cfg := rule.DefaultConfig()
	cfg.Variables = Variables(d)
	parser := rule.NewParser(cfg)
	sids := map[int64]int64{}
	for i, r := range d.Rules {
		at := index("rules", i)
		if r.Name == "" || len(r.Name) > 255 {
			found.add(at+".name", "must have 1 to 255 bytes")
		}
		if _, ok := KindOf(r.Category); !ok {
			found.add(at+".category", "there is no category %q", r.Category)
		}
		if len(r.Rule) > maxRuleText {
			found.add(at+".rule", "is longer than %d bytes", maxRuleText)
			continue
		}
		parsed, err := parseRule(parser, r.Rule)
		if err != nil {
			found.add(at+".rule", "%v", err)
			continue
		}
		if other, taken := sids[int64(parsed.SID)]; taken {
			found.add(at+".rule", "sid %d is that of rule %d already", parsed.SID, other)
		}
		sids[int64(parsed.SID)] = r.ID
	}
}

// check judges a suppression; at ends in a dot, or is "" for a request's body.
func (s Suppression) check(found *findings, at string) {
	if s.SID < 1 || s.SID > 1<<32-1 {
		found.add(at+"sid", "must be the sid of a rule")
	}
	if s.GID < 1 || s.GID > 1<<32-1 {
		found.add(at+"gid", "must be the gid of a rule, 1 for most")
	}
	switch s.Track {
	case "":
		if s.IP != "" {
			found.add(at+"track", "is required with ip: write by_src, by_dst or by_either")
		}
	case "by_src", "by_dst", "by_either":
		if _, err := netip.ParsePrefix(s.IP); err != nil {
			if a, err := netip.ParseAddr(s.IP); err != nil || a.Zone() != "" {
				found.add(at+"ip", "%q is neither an address nor a CIDR", s.IP)
			}
		}
	default:
		found.add(at+"track", "must be by_src, by_dst or by_either, not %q", s.Track)
	}
	if len(s.Reason) > 1000 {
		found.add(at+"reason", "is longer than 1000 bytes")
	}
}
