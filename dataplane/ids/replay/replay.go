// Package replay owns leading a capture through the matcher: the same rules, the same
// engine and the same log as on the wire, at the capture's own time, so that the
// result is the same each time.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/eve"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/ids/settings"
)

// Config is what is replayed.
type Config struct {
	Rules    []rule.File
	Settings *settings.Settings
	// Checksums are not verified.
	IgnoreChecksums bool
	// Files that the settings name, as texts; empty: the defaults.
	Thresholds, Classification, References rule.File
	// ReputationCategories and Reputation are the texts that say what is known of addresses.
	ReputationCategories rule.File
	Reputation           []rule.File
	// Open reads a file that a rule names.
	Open func(r *rule.Rule, name string) ([]byte, error)
	// NoPrefilter evaluates every rule: the slow reference.
	NoPrefilter bool
	// Profile counts what each rule costs: see Replay.Profile.
	Profile bool
	Log     eve.Config
}

// Replay is ready to take a capture.
type Replay struct {
	cfg    Config
	engine *ids.Engine
	worker *ids.Worker
	log    *eve.Writer
	// Loaded is what came of the rules' text, Refused what the matcher does not
	// take of it, Notes what was wrong in other files.
	Loaded  *rule.Set
	Refused []error
	Notes   []error
	// Verdicts count what became of the packets.
	Packets, Dropped uint64
	last             int64
}

// New compiles the rules. Events go to out.
func New(cfg Config, out io.Writer) (*Replay, error) {
	r := &Replay{cfg: cfg}
	s := cfg.Settings
	rules := rule.DefaultConfig()
	rules.Variables = s.Variables
	if s.NoJA4 {
		rules.Features = maps.Clone(rules.Features)
		rules.Features["ja4"] = false
	}
	r.Loaded = rule.Load(cfg.Rules, rules)

	d := detect.DefaultConfig()
	d.Seed = 1 // the same each time
	d.Variables = s.Variables
	d.Event = packet.EventByName
	d.Open = cfg.Open
	d.Protocols = s.Engine.Protocols
	d.NoPrefilter, d.Profile = cfg.NoPrefilter, cfg.Profile
	d.ActionOrder = s.ActionOrder
	if s.AlertMax > 0 {
		d.AlertMax = s.AlertMax
	}
	if s.Recursion > 0 {
		d.Recursion = s.Recursion
	}
	if s.MatchLimit > 0 {
		d.Regex.Tries = s.MatchLimit
	}
	if s.MatchLimitRecursion > 0 {
		d.Regex.Depth = s.MatchLimitRecursion
	}
	if s.DatasetMemory > 0 {
		d.DataMemory = s.DatasetMemory
	}
	var problems []*rule.Error
	if cfg.Classification.Text != "" {
		classes, bad := rule.ParseClassification(cfg.Classification)
		d.Classes = maps.Clone(d.Classes)
		maps.Copy(d.Classes, classes)
		problems = append(problems, bad...)
	}
	log := cfg.Log
	log.Classes = d.Classes
	if cfg.References.Text != "" {
		systems, bad := rule.ParseReferences(cfg.References)
		log.References = systems
		problems = append(problems, bad...)
	}
	if cfg.Thresholds.Text != "" {
		entries, bad := rule.ParseThresholds(cfg.Thresholds, s.Variables)
		d.Thresholds = entries
		problems = append(problems, bad...)
	}
	for _, p := range problems {
		r.Notes = append(r.Notes, p)
	}
	set, refused := detect.Compile(r.Loaded.Rules, d)
	r.Refused = refused
	engine := s.Engine
	if cfg.IgnoreChecksums || s.Checksums == "no" {
		engine.Packet.Checksums = false
	}
	log.Inline = engine.Inline
	log.Anomalies = map[string]bool{}
	maps.Copy(log.Anomalies, cfg.Log.Anomalies)
	maps.Copy(log.Anomalies, s.Anomalies)
	r.log = eve.New(log, out)
	r.engine = ids.New(engine, ids.Deps{Log: r.log, Panicked: func(what string) {
		r.Notes = append(r.Notes, fmt.Errorf("frame %d: caught: %s", r.Packets, what))
	}})
	if cfg.ReputationCategories.Text != "" {
		var lists []string
		for _, f := range cfg.Reputation {
			lists = append(lists, f.Text)
		}
		if err := r.engine.State().LoadReputation(cfg.ReputationCategories.Text, lists...); err != nil {
			r.Notes = append(r.Notes, err)
		}
	}
	r.engine.Use(set)
	r.worker = r.engine.Worker()
	return r, nil
}

// Profile lists what the rules have cost, if Config.Profile asked for it.
func (r *Replay) Profile() []detect.RuleProfile { return r.engine.Set().Profile() }

// Run takes a capture to its end.
func (r *Replay) Run(ctx context.Context, capture *Capture) error {
	for {
		f, err := capture.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			// What came before counts: captures are cut, or written by broken tools.
			r.Notes = append(r.Notes, fmt.Errorf("the capture ends after frame %d: %w", r.Packets, err))
			break
		}
		if !packet.Knows(f.Link) {
			return fmt.Errorf("frames of link type %d are not known", f.Link)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r.Packets++
		r.last = max(r.last, f.Time)
		if v := r.worker.Packet(f.Link, f.Data, f.Length, f.Time); v.Drop {
			r.Dropped++
		}
		r.judgeChecksums()
	}
	r.worker.Finish()
	r.log.Stats(r.last, r.worker.Stats())
	return r.log.Err()
}

// judgeChecksums stops verifying them when so many are wrong that the capture was
// made before the card finished them (manual, "Pcap File Checksum").
func (r *Replay) judgeChecksums() {
	if r.Packets != 1000 || r.cfg.Settings.Checksums != "auto" {
		return
	}
	if r.worker.Counters.BadChecksums*10 > r.Packets {
		r.worker.Decoder().Verify(false)
	}
}
