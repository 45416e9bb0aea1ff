// Package settings owns the agent's own configuration file: where its cloud is,
// with which key it speaks, where its state lies. What the router does is not in
// it; that comes from the cloud or from a policy file.
//
// The file is strict YAML: an unknown or repeated key is an error with its line.
// Settings are a plain value; a loaded one has every default filled in and has
// been validated. Secrets cannot print themselves (package secret), and errors never
// quote the file. A setting that is empty or 0 has its default. Edit is the only writer and replaces the file atomically.
package settings

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"

	"ngfw.sh/internal/fault"
	"ngfw.sh/internal/loopback"
	"ngfw.sh/internal/secret"
)

// DefaultPath is where the file is when no other is named.
const DefaultPath = "/etc/ngfw/agent.yaml"

// Settings is the file.
type Settings struct {
	Server     string      `yaml:"server,omitempty"`       // see ParseServer; "": works without a cloud
	Insecure   bool        `yaml:"insecure,omitempty"`     // plaintext to a server that is not on loopback
	CAFile     string      `yaml:"ca_file,omitempty"`      // PEM; "": the system's
	APIKey     secret.Text `yaml:"api_key,omitempty"`      // either this
	APIKeyFile string      `yaml:"api_key_file,omitempty"` // or a file that holds it alone

	StateDir      string `yaml:"state_dir,omitempty"`      // last good configuration, spool
	BPFDir        string `yaml:"bpf_dir,omitempty"`        // pins, on a bpffs
	ControlSocket string `yaml:"control_socket,omitempty"` // default agent.sock in StateDir

	// ConfirmWithin is how long a change that the cloud sent may cut the router off from it
	// before it is taken back.
	ConfirmWithin time.Duration `yaml:"confirm_within,omitempty"`

	MetricsListen      string `yaml:"metrics_listen,omitempty"` // host:port, or off
	AllowRemoteMetrics bool   `yaml:"allow_remote_metrics,omitempty"`

	Log   Log   `yaml:"log,omitempty"`
	Flow  Flow  `yaml:"flow,omitempty"`
	Spool Spool `yaml:"spool,omitempty"`
	XDP   XDP   `yaml:"xdp,omitempty"`
	TC    TC    `yaml:"tc,omitempty"`

	FastPath FastPath `yaml:"fast_path,omitempty"`
	IDS      IDS      `yaml:"ids,omitempty"`
	Clock    Clock    `yaml:"clock,omitempty"`
	GeoIP    string   `yaml:"geoip,omitempty"` // database of countries, MMDB; "": rules that name one are refused

	DropLists []DropList `yaml:"drop_lists,omitempty"`
	DropAllow []string   `yaml:"drop_allow,omitempty"` // addresses and prefixes that are on no list
	Guards    Guards     `yaml:"guards,omitempty"`
}

// Log is how the agent logs to stderr.
type Log struct {
	Level  string `yaml:"level,omitempty"`  // debug, info, warn, error
	Format string `yaml:"format,omitempty"` // text, json
}

// Flow bounds what is kept of flows.
type Flow struct {
	UpdateInterval time.Duration `yaml:"update_interval,omitempty"` // between two rows of a running flow
	MaxFlows       int           `yaml:"max_flows,omitempty"`       // in the kernel's table: 131072 take 88 to 102 MiB
}

// Spool bounds what waits on disk for the cloud's acknowledgement.
type Spool struct {
	MaxBytes Size `yaml:"max_bytes,omitempty"`
	Fsync    bool `yaml:"fsync,omitempty"` // survive a power cut too, at the price of writes
}

// IDS is how the matcher works here; what it inspects is the section ids.
type IDS struct {
	EVE    string `yaml:"eve,omitempty"`    // file that takes every event as a line of JSON; "": none
	Queues int    `yaml:"queues,omitempty"` // that run side by side; 0: one for each processor, up to four
	Depth  Size   `yaml:"depth,omitempty"`  // bytes of a connection, in each direction, that are put in order for rules
	Bypass Bypass `yaml:"bypass,omitempty"`
}

// Bypass says which flows leave the matcher for good, beside those with a verdict.
type Bypass string

const (
	BypassOn  Bypass = "on"  // that are encrypted, or seen to the depth
	BypassOff Bypass = "off" // none: each of their packets goes through the queue
)

// XDP says how packet programs are attached.
type XDP string

const (
	XDPAuto    XDP = "auto"    // native where the driver can, else TC does its work
	XDPNative  XDP = "native"  // where the driver can, else TC alone
	XDPGeneric XDP = "generic" // for tests: works everywhere and saves nothing
	XDPOff     XDP = "off"     // TC alone
)

// TC says how the policy's programs are on interfaces.
type TC string

const (
	TCAuto   TC = "auto" // TCX where the kernel has it, since Linux 6.6, else clsact
	TCX      TC = "tcx"
	TCClsact TC = "clsact"
)

// FastPath says how packets of established flows pass by the kernel's stack.
type FastPath string

const (
	FastAuto FastPath = "auto" // in XDP between real devices, else in TC
	FastXDP  FastPath = "xdp"  // in XDP on veth and tun too: only where senders fill in checksums
	FastOff  FastPath = "off"
)

// Clock says what schedules believe of the time of day.
type Clock string

const (
	ClockKernel  Clock = "kernel"  // as adjtimex tells: synchronised or not
	ClockTrusted Clock = "trusted" // always: where somebody else sets it
)

// Default is the settings of an empty file.
func Default() Settings {
	s := Settings{
		StateDir:      "/var/lib/ngfw",
		BPFDir:        "/sys/fs/bpf/ngfw",
		MetricsListen: "127.0.0.1:9101",
		ConfirmWithin: 30 * time.Second,
		Log:           Log{Level: "info", Format: "text"},
		Flow:          Flow{UpdateInterval: 10 * time.Second, MaxFlows: 131072},
		Spool:         Spool{MaxBytes: 256 << 20},
		XDP:           XDPAuto,
		TC:            TCAuto,
		FastPath:      FastAuto,
		Clock:         ClockKernel,
		IDS:           IDS{Depth: 1 << 20, Bypass: BypassOn},
	}
	s.ControlSocket = socketIn(s.StateDir)
	return s
}

func socketIn(stateDir string) string { return filepath.Join(stateDir, "agent.sock") }

// fill gives every setting that is empty its default.
func (s *Settings) fill() {
	d := Default()
	s.StateDir = cmp.Or(s.StateDir, d.StateDir)
	s.BPFDir = cmp.Or(s.BPFDir, d.BPFDir)
	s.ControlSocket = cmp.Or(s.ControlSocket, socketIn(s.StateDir))
	s.MetricsListen = cmp.Or(s.MetricsListen, d.MetricsListen)
	s.ConfirmWithin = cmp.Or(s.ConfirmWithin, d.ConfirmWithin)
	s.Log.Level = cmp.Or(s.Log.Level, d.Log.Level)
	s.Log.Format = cmp.Or(s.Log.Format, d.Log.Format)
	s.Flow.UpdateInterval = cmp.Or(s.Flow.UpdateInterval, d.Flow.UpdateInterval)
	s.Flow.MaxFlows = cmp.Or(s.Flow.MaxFlows, d.Flow.MaxFlows)
	s.Spool.MaxBytes = cmp.Or(s.Spool.MaxBytes, d.Spool.MaxBytes)
	s.XDP = cmp.Or(s.XDP, d.XDP)
	s.TC = cmp.Or(s.TC, d.TC)
	s.FastPath = cmp.Or(s.FastPath, d.FastPath)
	s.Clock = cmp.Or(s.Clock, d.Clock)
	s.IDS.Depth = cmp.Or(s.IDS.Depth, d.IDS.Depth)
	s.IDS.Bypass = cmp.Or(s.IDS.Bypass, d.IDS.Bypass)
}

// Load reads and validates the file at path. A missing file is fs.ErrNotExist
// with the remedy in its text.
func Load(path string) (Settings, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Settings{}, fmt.Errorf("%w: run ngfw-agent configure to make it", err)
	}
	if err != nil {
		return Settings{}, err
	}
	s, err := Parse(b)
	if err != nil {
		return Settings{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Parse reads and validates a file's content.
func Parse(b []byte) (Settings, error) {
	var s Settings
	d := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict())
	if err := d.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return Settings{}, malformed(err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return Settings{}, fault.New(fault.BadRequest, "there is a second document; the settings are one")
	}
	s.fill()
	if err := s.Validate(); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// malformed keeps the line and the reason. The library's own text shows the
// lines around the error, which may hold the key, and names Go's types.
func malformed(err error) error {
	var kind *yaml.TypeError
	if errors.As(err, &kind) && kind.DstType == reflect.TypeFor[time.Duration]() {
		return fault.New(fault.BadRequest, "[%d:%d] is no length of time: write one with its unit, as in 10s, 5m or 1h",
			kind.Token.Position.Line, kind.Token.Position.Column)
	}
	return fault.New(fault.BadRequest, "%s", yaml.FormatError(err, false, false))
}

// Validate reports every wrong setting at once, as a fault.
func (s Settings) Validate() error {
	var wrong []fault.Field
	refuse := func(path, format string, args ...any) {
		wrong = append(wrong, fault.Field{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if s.Server != "" {
		if _, err := ParseServer(s.Server, s.Insecure); err != nil {
			refuse("server", "%v", err)
		}
	}
	if s.APIKey != "" && s.APIKeyFile != "" {
		refuse("api_key_file", "api_key is set too: keep one of them")
	}
	if s.APIKey != "" {
		if err := CheckKey(s.APIKey); err != nil {
			refuse("api_key", "%v", err)
		}
	}
	s.validateDropLists(refuse)
	s.validateGuards(refuse)
	for _, p := range []struct{ key, path string }{
		{"ca_file", s.CAFile}, {"api_key_file", s.APIKeyFile},
		{"state_dir", s.StateDir}, {"bpf_dir", s.BPFDir}, {"control_socket", s.ControlSocket}, {"geoip", s.GeoIP},
	} {
		if p.path != "" && !filepath.IsAbs(p.path) {
			refuse(p.key, "%q is not an absolute path", p.path)
		}
	}
	// sun_path of unix(7) with its final zero.
	if len(s.ControlSocket) > 107 {
		refuse("control_socket", "a socket's path has at most 107 bytes, this one has %d: set a shorter one", len(s.ControlSocket))
	}
	if err := checkListen(s.MetricsListen, s.AllowRemoteMetrics); err != nil {
		refuse("metrics_listen", "%v", err)
	}
	oneOf(refuse, "log.level", s.Log.Level, "debug", "info", "warn", "error")
	oneOf(refuse, "log.format", s.Log.Format, "text", "json")
	oneOf(refuse, "xdp", s.XDP, XDPAuto, XDPNative, XDPGeneric, XDPOff)
	oneOf(refuse, "tc", s.TC, TCAuto, TCX, TCClsact)
	oneOf(refuse, "fast_path", s.FastPath, FastAuto, FastXDP, FastOff)
	if s.ConfirmWithin < time.Second || s.ConfirmWithin > time.Hour {
		refuse("confirm_within", "%v is not from 1s to 1h", s.ConfirmWithin)
	}
	if s.IDS.Queues < 0 || s.IDS.Queues > 64 {
		refuse("ids.queues", "%d is not from 0 to 64", s.IDS.Queues)
	}
	if s.IDS.Depth < 4096 {
		refuse("ids.depth", "%v is less than 4KiB", s.IDS.Depth)
	}
	oneOf(refuse, "ids.bypass", s.IDS.Bypass, BypassOn, BypassOff)
	if s.IDS.EVE != "" && !filepath.IsAbs(s.IDS.EVE) {
		refuse("ids.eve", "%q is no absolute path", s.IDS.EVE)
	}
	oneOf(refuse, "clock", s.Clock, ClockKernel, ClockTrusted)
	if s.Flow.UpdateInterval < time.Second || s.Flow.UpdateInterval > time.Hour {
		refuse("flow.update_interval", "%v is not from 1s to 1h", s.Flow.UpdateInterval)
	}
	if s.Flow.MaxFlows < 1024 || s.Flow.MaxFlows > 1<<24 {
		refuse("flow.max_flows", "%d is not from 1024 to %d", s.Flow.MaxFlows, 1<<24)
	}
	if s.Spool.MaxBytes < 1<<20 {
		refuse("spool.max_bytes", "%v is less than 1MiB", s.Spool.MaxBytes)
	}
	if len(wrong) > 0 {
		return fault.InvalidFields(wrong...)
	}
	return nil
}

func checkListen(listen string, allowRemote bool) error {
	if listen == "off" {
		return nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is neither host:port nor off", listen)
	}
	if !allowRemote && !loopback.Host(host) {
		return fmt.Errorf("%q is not loopback: metrics are readable by whoever reaches them, so set allow_remote_metrics to mean it", listen)
	}
	return nil
}

func oneOf[T ~string](refuse func(string, string, ...any), key string, v T, allowed ...T) {
	for _, a := range allowed {
		if v == a {
			return
		}
	}
	refuse(key, "%q is none of %v", string(v), allowed)
}
