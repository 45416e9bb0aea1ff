// Package settings owns the reading of suricata.yaml: it turns its keys, and those of
// --set, into the configuration of the matcher.
//
// A file is laid over the defaults, which are those of a stock suricata.yaml; a key of
// --set is laid over the file. Keys without meaning here are collected, to be told
// once, and are no errors: people bring files that they have. A value that a key
// with meaning cannot have is an error.
package settings

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/rule"
)

// Settings are what a configuration says.
type Settings struct {
	Engine    ids.Config
	Variables rule.Variables
	// Files that were named, empty if none was.
	ThresholdFile, ClassificationFile, ReferenceFile string
	// ReputationCategories and ReputationFiles say what is known of addresses (manual, "IP Reputation").
	ReputationCategories string
	ReputationFiles      []string
	reputationPath       string
	// ActionOrder is the order in which rules are evaluated, by action.
	ActionOrder []rule.Action
	// AlertMax bounds the alerts of a packet, Recursion the steps in one buffer; 0: default.
	AlertMax, Recursion int
	// MatchLimit and MatchLimitRecursion bound regular expressions; 0: default.
	MatchLimit, MatchLimitRecursion int
	// Checksums says whether captures are verified: "yes", "no" or "auto".
	Checksums string
	// DatasetMemory bounds a dataset that says nothing, in bytes; 0: default.
	DatasetMemory uint64
	// NoJA4 says that fingerprints of the kind JA4 are switched off: rules that require them are not met.
	NoJA4 bool
	// Anomalies are the kinds that are logged or not, where that is said.
	Anomalies map[string]bool
	// Ignored are the keys without meaning here, in the order of the text.
	Ignored []string

	exception exceptions
	prefixes  []hostPolicy
}

// exceptions are policies as they were named; "" is none.
type exceptions struct{ master, midstream, appError, streamMemory, flowMemory, fragments string }

// Default is a stock suricata.yaml.
func Default() *Settings {
	s := &Settings{
		Engine: ids.DefaultConfig(), Variables: rule.DefaultVariables(), Checksums: "auto", Anomalies: map[string]bool{},
		ActionOrder: []rule.Action{rule.ActionPass, rule.ActionDrop, rule.ActionReject, rule.ActionAlert},
	}
	s.exception.master = "auto"
	return s
}

// Load lays a file (its text; nil: none) and settings "key=value" over the defaults.
// Inline is what the command line says of it.
func Load(file []byte, set []string, inline bool) (*Settings, error) {
	s := Default()
	s.Engine.Inline = inline
	s.Engine.Stream.Inline = inline
	t := &tree{}
	if file != nil {
		if err := t.read(file); err != nil {
			return nil, err
		}
	}
	for _, kv := range set {
		key, value, ok := strings.Cut(kv, "=")
		if !ok {
			return nil, fmt.Errorf("a setting is key=value, not %q", kv)
		}
		t.set(strings.TrimSpace(key), strings.TrimSpace(value))
	}
	if err := s.take(t); err != nil {
		return nil, err
	}
	return s, s.settle()
}

// take applies every key that has a meaning.
func (s *Settings) take(t *tree) error {
	for _, e := range t.entries {
		done, err := s.apply(e)
		if err != nil {
			return fmt.Errorf("%s: %w", e.key, err)
		}
		if !done {
			s.Ignored = append(s.Ignored, e.key)
		}
	}
	s.Ignored = slices.Compact(s.Ignored)
	return nil
}

// apply takes one key. Done is false if it has no meaning here.
func (s *Settings) apply(e entry) (done bool, err error) {
	first, rest, _ := strings.Cut(e.key, ".")
	switch first {
	case "vars":
		return s.variable(rest, e)
	case "stream":
		return s.stream(rest, e)
	case "defrag":
		return s.defrag(rest, e)
	case "flow-timeouts":
		return s.timeout(rest, e)
	case "flow":
		return s.flow(rest, e)
	case "host-os-policy":
		return s.hostPolicy(rest, e)
	case "decoder":
		return s.decoder(rest, e)
	case "app-layer":
		return s.appLayer(rest, e)
	case "detect":
		return s.detect(rest, e)
	case "outputs":
		return s.output(rest, e)
	}
	return s.single(e)
}

// single takes keys that stand alone.
func (s *Settings) single(e entry) (bool, error) {
	var err error
	switch e.key {
	case "threshold-file":
		s.ThresholdFile = e.value
	case "classification-file":
		s.ClassificationFile = e.value
	case "reference-config-file":
		s.ReferenceFile = e.value
	case "reputation-categories-file":
		s.ReputationCategories = e.value
	case "default-reputation-path":
		s.reputationPath = e.value
	case "exception-policy":
		s.exception.master, err = e.policy()
	case "packet-alert-max":
		s.AlertMax, err = e.int(1, 1<<16)
	case "vlan.use-for-tracking":
		s.Engine.VLANTracking, err = e.bool()
	case "pcap-file.checksum-checks":
		s.Checksums, err = e.oneOf("yes", "no", "auto")
	case "pcre.match-limit":
		s.MatchLimit, err = e.int(1, 1<<30)
	case "pcre.match-limit-recursion":
		s.MatchLimitRecursion, err = e.int(1, 1<<30)
	case "datasets.defaults.memcap":
		s.DatasetMemory, err = e.size()
	case "datasets.enabled":
		_, err = e.bool()
	default:
		if strings.HasPrefix(e.key, "action-order.") {
			return true, s.order(e)
		}
		if strings.HasPrefix(e.key, "reputation-files.") {
			s.ReputationFiles = append(s.ReputationFiles, e.value)
			return true, nil
		}
		return false, nil
	}
	return true, err
}

func (s *Settings) order(e entry) error {
	actions := map[string]rule.Action{"pass": rule.ActionPass, "drop": rule.ActionDrop, "reject": rule.ActionReject, "alert": rule.ActionAlert}
	a, ok := actions[strings.ToLower(e.value)]
	if !ok {
		return fmt.Errorf("%q is not pass, drop, reject or alert", e.value)
	}
	if e.key == "action-order.0" {
		s.ActionOrder = nil
	}
	s.ActionOrder = append(s.ActionOrder, a)
	return nil
}

func (s *Settings) variable(rest string, e entry) (bool, error) {
	if name, ok := strings.CutPrefix(rest, "address-groups."); ok {
		s.Variables.Addresses[name] = e.value
		return true, nil
	}
	if name, ok := strings.CutPrefix(rest, "port-groups."); ok {
		s.Variables.Ports[name] = e.value
		return true, nil
	}
	return false, nil
}

// settle decides what depends on several keys.
func (s *Settings) settle() error {
	c := &s.Engine
	for i, name := range s.ReputationFiles {
		if !filepath.IsAbs(name) {
			s.ReputationFiles[i] = filepath.Join(s.reputationPath, name)
		}
	}
	pick := func(name string, joins bool) ids.Policy {
		if name == "" {
			name = s.exception.master
		}
		if name == "auto" {
			// Inline nothing passes that was not inspected; else it is noted at most. Who takes
			// connections up midstream does not except them.
			if c.Inline && !joins {
				return ids.DropFlow
			}
			return ids.Ignore
		}
		p, _ := ids.ParsePolicy(name)
		if !c.Inline && (p == ids.DropFlow || p == ids.DropPacket || p == ids.Reject) {
			return ids.Ignore
		}
		return p
	}
	c.Exceptions = ids.Exceptions{
		AppError: pick(s.exception.appError, false), StreamMemory: pick(s.exception.streamMemory, false), FlowMemory: pick(s.exception.flowMemory, false),
		Fragments: pick(s.exception.fragments, false), Midstream: pick(s.exception.midstream, c.Stream.Midstream),
	}
	return nil
}
