package kernel

import "time"

// Step is one test binary that init runs.
type Step struct {
	Name string // the package, for the report
	Path string // in the machine; a name without a slash is looked for in PATH
	Dir  string // where it runs
	Args []string
	Env  []string
}

// Silence is how long a step may say nothing until it is asked where it hangs, and
// ended. Emulated, tests say nothing for minutes.
const Silence = 10 * time.Minute

// Files of the machine that Init reads.
const (
	PlanFile    = "/plan.json"
	ModulesFile = "/modules.json"
)

// Init's words between the output of steps, each on a line of its own.
const (
	WordBegin   = "\x1ebegin "   // NAME
	WordEnd     = "\x1eend "     // NAME STATUS MILLISECONDS
	WordDone    = "\x1edone"     // all steps have ended
	WordTrouble = "\x1etrouble " // MESSAGE: of init itself
)

// Result is what became of a step.
type Result struct {
	Step   string
	Status int // of its process; -1: it did not end
	Took   time.Duration
	Output string
}
