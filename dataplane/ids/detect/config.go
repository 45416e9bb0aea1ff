package detect

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/regex"
	"ngfw.sh/dataplane/ids/rule"
)

// Config is what rules are compiled by.
type Config struct {
	Variables rule.Variables
	// Classes give rules without a priority that of their class.
	Classes map[string]rule.Class
	// Thresholds are those of threshold.config.
	Thresholds []rule.ThresholdEntry
	// Event finds an event by its layer (decode, stream or engine) and name. Rules
	// with others are refused; nil: all are.
	Event func(layer, name string) (packet.Event, bool)
	// Protocols are those that are looked for; rules about others are refused.
	Protocols app.Choice
	// Open reads a file that a rule names: lists of digests, datasets. nil: there are none.
	Open func(r *rule.Rule, name string) ([]byte, error)
	// ActionOrder is the order in which rules are evaluated, by action (manual,
	// "Action-order"); empty: pass, drop, reject, alert.
	ActionOrder []rule.Action
	// AlertMax bounds the alerts of one packet.
	AlertMax int
	// Recursion bounds the steps in one buffer (inspection-recursion-limit).
	Recursion int
	Regex     regex.Limits
	// DataMemory bounds a dataset that names no memcap, in bytes.
	DataMemory uint64
	// NoPrefilter evaluates every rule: the slow reference.
	NoPrefilter bool
	// Profile counts how often rules are evaluated and match, and the time it takes.
	Profile bool
	// Seed makes the search over patterns hard to foresee.
	Seed uint64
}

// DefaultConfig is that of a stock suricata.yaml.
func DefaultConfig() Config {
	return Config{
		Variables: rule.DefaultVariables(), Classes: rule.DefaultClassification(),
		AlertMax: 15, Recursion: 3000, Regex: regex.DefaultLimits(), DataMemory: 100 << 20, Seed: rand.Uint64(),
	}
}

// Error says why a rule was left out.
type Error struct {
	Rule *rule.Rule
	Err  error
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d: sid %d: %v", e.Rule.Line, e.Rule.SID, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// ErrNotSupported marks rules that are right but ask for what is not there.
var ErrNotSupported = errors.New("not supported")

func notSupported(what string) error { return fmt.Errorf("%s: %w", what, ErrNotSupported) }
