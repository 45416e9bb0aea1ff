package inspect

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"ngfw.sh/agent/ruleset"
	"ngfw.sh/config/ids"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/internal/fault"
)

// Loaded is what came of a document's rules.
type Loaded struct {
	Set        *detect.Set
	Classes    map[string]rule.Class
	References map[string]string
	Rules      int
	Categories map[string]int64 // rules in force
	reputation reputation
	Refused    []string // rules that are left out, and why
}

// maxRefused bounds what is remembered of rules that are left out.
const maxRefused = 100

// load reads and compiles the document's rules. lacking are sources of which there
// is no set, or an old one.
func (s *Section) load(ctx context.Context, doc ids.Document, fresh bool) (l *Loaded, lacking map[string]string, err error) {
	lacking = map[string]string{}
	l = &Loaded{Classes: maps.Clone(rule.DefaultClassification()), Categories: map[string]int64{}}
	var files []rule.File
	beside := newBeside(s.cfg.StateDir)
	fetching, enough := context.WithTimeout(ctx, s.cfg.Patience)
	defer enough()
	for i, source := range doc.Sources {
		if !source.Enabled {
			continue
		}
		set, err := s.deps.Sets.Get(fetching, source, fresh)
		if err != nil {
			lacking[source.Name] = err.Error()
		}
		if set == nil {
			if s.loaded.Set == nil && len(doc.Rules) == 0 && len(doc.Sources) == 1 {
				return nil, nil, fault.Invalid(fmt.Sprintf("sources[%d]", i), "%v", err)
			}
			continue
		}
		files = append(files, set.Files...)
		beside.add(set)
		l.take(set)
	}
	parsing := rule.DefaultConfig()
	parsing.Variables = ids.Variables(doc)
	parsed := rule.Load(files, parsing)
	for _, e := range parsed.Refused {
		l.refuse(e)
	}
	modes := map[string]ids.Mode{}
	for _, c := range doc.Categories {
		modes[c.ID] = c.Mode
	}
	var rules []*rule.Rule
	category := map[*rule.Rule]string{}
	add := func(r *rule.Rule, id string) {
		if r = under(r, doc.Mode, modes[id]); r != nil {
			rules = append(rules, r)
			category[r] = id
		}
	}
	for _, r := range parsed.Rules {
		add(r, ids.CategoryOf(r.Class))
	}
	for i, own := range doc.Rules {
		if !own.Enabled {
			continue
		}
		r, err := ids.ParseRule(doc, own.Rule)
		if err != nil {
			return nil, nil, fault.Invalid(fmt.Sprintf("rules[%d].rule", i), "%v", err)
		}
		add(r, own.Category)
		beside.own[r] = true
	}
	compiling := detect.DefaultConfig()
	compiling.Variables, compiling.Classes = parsing.Variables, l.Classes
	compiling.Event, compiling.Open = packet.EventByName, beside.open
	thresholds, bad := rule.ParseThresholds(suppressions(doc), parsing.Variables)
	compiling.Thresholds = thresholds
	for _, e := range bad {
		l.refuse(e)
	}
	set, refused := detect.Compile(rules, compiling)
	left := map[*rule.Rule]bool{}
	for _, e := range refused {
		l.refuse(e)
		if of, ok := e.(*detect.Error); ok {
			left[of.Rule] = true
		}
	}
	for _, r := range rules {
		if !left[r] {
			l.Rules++
			l.Categories[category[r]]++
		}
	}
	l.Set = set
	return l, lacking, nil
}

// take adds what a set says of classes and references.
func (l *Loaded) take(set *ruleset.Set) {
	if set.Classification.Text != "" {
		classes, bad := rule.ParseClassification(set.Classification)
		maps.Copy(l.Classes, classes)
		for _, e := range bad {
			l.refuse(e)
		}
	}
	l.reputation.take(set)
	if set.References.Text != "" {
		systems, bad := rule.ParseReferences(set.References)
		if l.References == nil {
			l.References = map[string]string{}
		}
		maps.Copy(l.References, systems)
		for _, e := range bad {
			l.refuse(e)
		}
	}
}

func (l *Loaded) refuse(err error) {
	if len(l.Refused) < maxRefused {
		l.Refused = append(l.Refused, err.Error())
	}
}

// under is the rule with the action that it has here; nil: it is not loaded. Where
// nothing is prevented, what would block alerts; in a category that prevents, what would
// alert blocks.
func under(r *rule.Rule, whole, category ids.Mode) *rule.Rule {
	var action rule.Action
	switch {
	case category == ids.Disabled:
		return nil
	case whole == ids.Detect && r.Action.Blocks():
		action = rule.ActionAlert
	case whole == ids.Prevent && category == ids.Prevent && r.Action == rule.ActionAlert && r.Alerts():
		action = rule.ActionDrop
	default:
		return r
	}
	other := *r
	other.Action = action
	return &other
}

// suppressions are the section's, as the lines of a threshold.config.
func suppressions(doc ids.Document) rule.File {
	var b strings.Builder
	for _, s := range doc.Suppressions {
		fmt.Fprintf(&b, "suppress gen_id %d, sig_id %d", s.GID, s.SID)
		if s.Track != "" {
			fmt.Fprintf(&b, ", track %s, ip %s", s.Track, s.IP)
		}
		b.WriteByte('\n')
	}
	return rule.File{Name: "suppressions", Text: b.String()}
}
