// Package doctor owns the questions whether this machine can run the agent and
// whether the agent can reach its cloud, each answered with what to do about it.
//
// Checks only look: they attach nothing, write nothing, and send no key. For the
// asking the kernel may load modules, as it would for the agent. They are
// independent of each other, so one that cannot be made says so and the rest go
// on. What needs the packet programs' library is asked through Kernel, which may
// load programs that are gone with its answer.
package doctor

import (
	"context"
	"crypto/x509"
	"io/fs"
	"net"
	"os"
	"time"

	"ngfw.sh/agent/settings"
)

// Outcome of a check. Fail means that the agent does not work, Warn that
// something is missing or that it cannot be told.
type Outcome string

const (
	OK   Outcome = "ok"
	Warn Outcome = "warn"
	Fail Outcome = "fail"
)

// Result is one check's answer.
type Result struct {
	Check   string  `json:"check"`
	Outcome Outcome `json:"outcome"`
	Detail  string  `json:"detail"`           // what was found
	Lost    string  `json:"lost,omitempty"`   // what does not work without it
	Remedy  string  `json:"remedy,omitempty"` // what to do; never empty unless OK
}

// Worst is the gravest outcome of all.
func Worst(results []Result) Outcome {
	worst := OK
	for _, r := range results {
		if r.Outcome == Fail || r.Outcome == Warn && worst == OK {
			worst = r.Outcome
		}
	}
	return worst
}

// Kernel tells which features of the kernel the packet programs can use: nil
// for one that is there, else why not.
type Kernel interface {
	Features() map[string]error
	// Attachment is how the policy's programs would be on interfaces: tcx, clsact.
	Attachment() string
	// Subsystems tells of parts beside BPF, by the names of package subsystem.
	Subsystems() map[string]error
}

// Config is what is examined.
type Config struct {
	SettingsPath string
	// Optional names features of Kernel without which the agent works with less:
	// their lack is a warning. The lack of any other fails.
	Optional []string
	Timeout  time.Duration // of each step towards the server
}

// DefaultConfig examines the usual place. All that the kernel is asked for is
// needed; how well an interface's driver does shows when programs are on it, in
// ngfw-agent status.
func DefaultConfig() Config {
	return Config{SettingsPath: settings.DefaultPath, Timeout: 5 * time.Second}
}

// Deps are the surfaces that are looked at. Those left nil are the real ones,
// but for Kernel, without which features are not examined.
type Deps struct {
	Root       fs.FS // holds proc and sys
	Kernel     Kernel
	FileSystem func(path string) (FileSystem, error)
	Clock      func() (Clock, error)
	Tables     func() ([]string, error) // of nftables that translate addresses, but ours
	Lookup     func(ctx context.Context, host string) ([]string, error)
	Dial       func(ctx context.Context, network, address string) (net.Conn, error)
	Now        func() time.Time
}

// Doctor makes the checks.
type Doctor struct {
	cfg  Config
	deps Deps
}

// New makes a Doctor that has not looked at anything yet.
func New(cfg Config, deps Deps) *Doctor {
	if deps.Root == nil {
		deps.Root = os.DirFS("/")
	}
	if deps.FileSystem == nil {
		deps.FileSystem = statfs
	}
	if deps.Clock == nil {
		deps.Clock = adjtimex
	}
	if deps.Tables == nil {
		deps.Tables = listTables
	}
	if deps.Lookup == nil {
		deps.Lookup = net.DefaultResolver.LookupHost
	}
	if deps.Dial == nil {
		deps.Dial = new(net.Dialer).DialContext
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Doctor{cfg: cfg, deps: deps}
}

// nothing is what works without what the packet programs stand on.
const nothing = "the packet programs cannot be loaded: nothing is enforced, the agent does not start"

// Examine makes all checks, the ones on which others stand first.
func (d *Doctor) Examine(ctx context.Context) []Result {
	s, results := d.settings()
	results = append(results,
		d.privileges(), d.kernel(), d.btf().without(nothing), d.bpffs(s).without("the agent does not start: packets could not be judged while none runs"),
		d.conntrack().without("flows have no state: nothing is enforced, the agent does not start"), d.kfuncs().without(nothing), d.nftables().without(nothing))
	results = append(results, d.features()...)
	results = append(results, d.subsystems()...)
	results = append(results, d.forwarding()...)
	results = append(results, d.bridges())
	results = append(results, d.translators()...)
	results = append(results, d.clock(), d.disk(s))
	return append(results, d.server(ctx, s)...)
}

func ok(check, detail string) Result { return Result{Check: check, Outcome: OK, Detail: detail} }

func warn(check, detail, remedy string) Result {
	return Result{Check: check, Outcome: Warn, Detail: detail, Remedy: remedy}
}

func fail(check, detail, remedy string) Result {
	return Result{Check: check, Outcome: Fail, Detail: detail, Remedy: remedy}
}

// without says what is lost, unless all is well.
func (r Result) without(lost string) Result {
	if r.Outcome != OK {
		r.Lost = lost
	}
	return r
}

// pool reads the CA of the settings; nil means the system's.
func pool(s settings.Settings) (*x509.CertPool, error) {
	if s.CAFile == "" {
		return nil, nil
	}
	return settings.LoadCA(s.CAFile)
}
