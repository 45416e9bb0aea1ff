package policy

import "encoding/json"

// decoder reads values into the model, with defaults.
type decoder struct {
	found *findings
	body  bool // a request body, where ids are read-only and so ignored
}

func (d decoder) policy(path string, v any) Policy {
	p := Policy{Zones: []Zone{}, Rules: []Rule{}, Policies: []Default{}, TimeZone: "UTC"}
	r, ok := newRecord(d.found, path, v)
	if !ok {
		return p
	}
	r.integer("revision", &p.Revision)
	r.list("zones", func(path string, v any) { p.Zones = append(p.Zones, d.zone(path, v)) })
	r.list("groups", func(path string, v any) { p.Groups = append(p.Groups, d.group(path, v)) })
	r.list("rules", func(path string, v any) { p.Rules = append(p.Rules, d.rule(path, v)) })
	r.list("policies", func(path string, v any) { p.Policies = append(p.Policies, d.pair(path, v)) })
	r.list("nat", func(path string, v any) { p.NAT = append(p.NAT, d.natRule(path, v)) })
	r.text("time_zone", &p.TimeZone)
	r.texts("self_addresses", &p.SelfAddresses)
	r.done()
	return p
}

func (d decoder) id(r *record, to *int64) {
	if d.body {
		v, _ := r.value("id")
		if n, err := integerOf(v); err == nil {
			*to = n
		}
		return
	}
	r.integer("id", to)
}

func (d decoder) zone(path string, v any) Zone {
	z := Zone{Interfaces: []string{}}
	r, ok := newRecord(d.found, path, v)
	if !ok {
		return z
	}
	r.require("name")
	d.id(r, &z.ID)
	r.text("name", &z.Name)
	r.texts("interfaces", &z.Interfaces)
	r.flag("masquerade", &z.Masquerade)
	r.flag("mss_clamping", &z.MSSClamping)
	r.done()
	return z
}

func (d decoder) group(path string, v any) Group {
	g := Group{Members: []string{}}
	r, ok := newRecord(d.found, path, v)
	if !ok {
		return g
	}
	r.require("name", "type", "members")
	d.id(r, &g.ID)
	r.text("name", &g.Name)
	r.text("type", &g.Type)
	r.texts("members", &g.Members)
	r.done()
	return g
}

// NewRule is a rule with every default and nothing else.
func NewRule() Rule {
	return Rule{
		Enabled: true, Source: "any", Destination: "any", Protocol: "all", Port: "*",
		Schedule: Schedule{Start: "00:00", End: "23:59", Days: everyDay()},
	}
}

func everyDay() []int { return []int{0, 1, 2, 3, 4, 5, 6} }

func (d decoder) rule(path string, v any) Rule {
	rule := NewRule()
	r, ok := newRecord(d.found, path, v)
	if !ok {
		return rule
	}
	r.require("name", "zone_from", "zone_to", "action")
	r.ignore("hits", "hit_bytes", "last_hit")
	d.id(r, &rule.ID)
	r.text("name", &rule.Name)
	r.flag("enabled", &rule.Enabled)
	r.text("zone_from", &rule.ZoneFrom)
	r.text("zone_to", &rule.ZoneTo)
	r.text("source", &rule.Source)
	r.text("destination", &rule.Destination)
	d.protocol(r, &rule.Protocol)
	r.text("port", &rule.Port)
	r.texts("icmp_types", &rule.ICMPTypes)
	r.text("action", (*string)(&rule.Action))
	d.schedule(r, &rule.Schedule)
	r.flag("log", &rule.Log)
	r.done()
	return rule
}

// protocol takes a number for what is one.
func (d decoder) protocol(r *record, to *string) {
	if v, _ := r.value("protocol"); v != nil {
		if n, ok := v.(json.Number); ok {
			*to = n.String()
			return
		}
	}
	r.text("protocol", to)
}

func (d decoder) schedule(r *record, to *Schedule) {
	v, ok := r.value("schedule")
	if !ok {
		return
	}
	s, ok := newRecord(d.found, r.member("schedule"), v)
	if !ok {
		return
	}
	s.flag("enabled", &to.Enabled)
	s.text("start", &to.Start)
	s.text("end", &to.End)
	days := []int{}
	for i, v := range s.elements("days") {
		n, err := integerOf(v)
		switch {
		case err != nil:
			d.found.misshapen(index(s.member("days"), i), "%s", err.Error())
		case n < 0 || n > 6:
			d.found.add(index(s.member("days"), i), "must be a day from 0 (Sunday) to 6, not %d", n)
		default:
			days = append(days, int(n))
		}
	}
	if len(days) > 0 { // none given is every day
		to.Days = days
	}
	s.done()
}

func (d decoder) pair(path string, v any) Default {
	var def Default
	r, ok := newRecord(d.found, path, v)
	if !ok {
		return def
	}
	r.require("from", "to", "action")
	r.text("from", &def.From)
	r.text("to", &def.To)
	r.text("action", (*string)(&def.Action))
	r.flag("log", &def.Log)
	r.done()
	return def
}
