package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/agent/settings"
)

// settings reads the file; where it cannot be used, the rest is examined with
// the defaults.
func (d *Doctor) settings() (settings.Settings, []Result) {
	const check = "settings"
	path := d.cfg.SettingsPath
	s, err := settings.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return settings.Default(), []Result{warn(check, path+" is not there: the agent has no cloud",
			"run ngfw-agent configure --api-key-file F --server URL, or ngfw-agent run --policy P.json to work without a cloud")}
	}
	if errors.Is(err, fs.ErrPermission) {
		return settings.Default(), []Result{fail(check, err.Error(), "run as root")}
	}
	if err != nil {
		return settings.Default(), []Result{fail(check, err.Error(), "correct the file")}
	}
	results := []Result{ok(check, path+" is valid")}
	key, err := s.Key()
	switch {
	case err != nil:
		results = append(results, fail("device key", err.Error(), "run ngfw-agent configure --api-key-file F"))
	case key == "" && s.Server != "":
		results = append(results, fail("device key", "a server is set, but no key", "run ngfw-agent configure --api-key-file F"))
	case key != "":
		results = append(results, d.keyIsPrivate(s))
	}
	return s, results
}

func (d *Doctor) keyIsPrivate(s settings.Settings) Result {
	const check = "device key"
	path := d.cfg.SettingsPath
	if s.APIKeyFile != "" {
		path = s.APIKeyFile
	}
	info, err := os.Stat(path)
	if err != nil {
		return fail(check, err.Error(), "make the file readable")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return warn(check, fmt.Sprintf("%s can be opened by others (mode %04o)", path, mode), "chmod 600 "+path)
	}
	return ok(check, "set, readable by its owner alone")
}

// The capabilities of linux/capability.h that the agent needs.
var needed = []struct {
	name string
	bit  uint
}{
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN}, {"CAP_NET_RAW", unix.CAP_NET_RAW}, {"CAP_BPF", unix.CAP_BPF}, {"CAP_PERFMON", unix.CAP_PERFMON},
}

func (d *Doctor) privileges() Result {
	const check = "privileges"
	b, err := fs.ReadFile(d.deps.Root, "proc/self/status")
	if err != nil {
		return warn(check, "cannot be told: "+err.Error(), "mount /proc")
	}
	lacking, err := lackingCapabilities(b)
	if err != nil {
		return warn(check, "cannot be told: "+err.Error(), "run as root")
	}
	if len(lacking) > 0 {
		return fail(check, "this process lacks "+strings.Join(lacking, ", "),
			"run as root, or grant them (AmbientCapabilities= in the systemd unit)")
	}
	return ok(check, "all needed capabilities are there")
}

func lackingCapabilities(status []byte) ([]string, error) {
	for line := range bytes.Lines(status) {
		v, found := strings.CutPrefix(string(line), "CapEff:")
		if !found {
			continue
		}
		have, err := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
		if err != nil {
			return nil, errors.New("proc/self/status: CapEff is no number")
		}
		var lacking []string
		for _, c := range needed {
			// CAP_SYS_ADMIN holds what was split from it (capabilities(7)).
			if split := c.bit == unix.CAP_BPF || c.bit == unix.CAP_PERFMON; split && have>>unix.CAP_SYS_ADMIN&1 == 1 {
				continue
			}
			if have>>c.bit&1 == 0 {
				lacking = append(lacking, c.name)
			}
		}
		return lacking, nil
	}
	return nil, errors.New("proc/self/status: no CapEff")
}

// Linux 6.1 is the oldest long-term kernel whose verifier takes the packet
// programs and whose conntrack they can ask.
const oldestMajor, oldestMinor = 6, 1

func (d *Doctor) kernel() Result {
	const check = "kernel"
	b, err := fs.ReadFile(d.deps.Root, "proc/sys/kernel/osrelease")
	if err != nil {
		return warn(check, "version cannot be told: "+err.Error(), "mount /proc")
	}
	release := strings.TrimSpace(string(b))
	major, minor, err := parseRelease(release)
	if err != nil {
		return warn(check, err.Error(), fmt.Sprintf("use a kernel from %d.%d", oldestMajor, oldestMinor))
	}
	if major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return fail(check, release+" is too old", fmt.Sprintf("use a kernel from %d.%d", oldestMajor, oldestMinor))
	}
	return ok(check, release)
}

// parseRelease reads the start of 6.12.0-56-amd64 or 6.18.44.
func parseRelease(release string) (major, minor int, err error) {
	first, rest, _ := strings.Cut(release, ".")
	second := rest
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		second = rest[:i]
	}
	a, err1 := strconv.ParseUint(first, 10, 16)
	b, err2 := strconv.ParseUint(second, 10, 16)
	if err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("%q is no kernel version that is known here", release)
	}
	return int(a), int(b), nil
}

// Clock is what adjtimex(2) tells.
type Clock struct {
	Synchronised bool
	Error        time.Duration // largest, as estimated
}

func adjtimex() (Clock, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t) // without modes: reads only
	if err != nil {
		return Clock{}, err
	}
	return Clock{
		Synchronised: state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0,
		Error:        time.Duration(t.Maxerror) * time.Microsecond,
	}, nil
}

// A clock before this was never set: the software is younger.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (d *Doctor) clock() Result {
	const check = "clock"
	const remedy = "run a time service (systemd-timesyncd, chrony); rule schedules, log times and TLS need the right time"
	if now := d.deps.Now(); now.Before(epoch) {
		return fail(check, "the clock says "+now.UTC().Format(time.DateTime)+", it was never set", remedy)
	}
	c, err := d.deps.Clock()
	if err != nil {
		return warn(check, "synchronisation cannot be told: "+err.Error(), remedy)
	}
	if !c.Synchronised {
		return warn(check, "not synchronised", remedy)
	}
	return ok(check, fmt.Sprintf("synchronised, off by at most %v", c.Error))
}

// FileSystem is what statfs(2) tells.
type FileSystem struct {
	Type      uint32 // magic number
	Available uint64 // bytes
	ReadOnly  bool
}

func statfs(path string) (FileSystem, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return FileSystem{}, err
	}
	return FileSystem{
		Type: uint32(st.Type), Available: st.Bavail * uint64(st.Bsize), ReadOnly: st.Flags&unix.ST_RDONLY != 0,
	}, nil
}

// nearest examines the file system that holds path, or would.
func (d *Doctor) nearest(path string) (FileSystem, string, error) {
	for {
		f, err := d.deps.FileSystem(path)
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return f, path, err
		}
		path = parent
	}
}

func (d *Doctor) disk(s settings.Settings) Result {
	const check = "disk"
	const least = 16 << 20 // the last good configuration and some logs
	f, where, err := d.nearest(s.StateDir)
	switch {
	case err != nil:
		return fail(check, fmt.Sprintf("%s cannot be examined: %v", where, err), "make state_dir reachable or set another")
	case f.ReadOnly:
		return fail(check, where+" is read-only", "set state_dir to a directory that can be written")
	case f.Available < least:
		return fail(check, fmt.Sprintf("%s has %d MiB left", where, f.Available>>20), "free space or set another state_dir")
	case f.Available < uint64(s.Spool.MaxBytes)+least:
		return warn(check, fmt.Sprintf("%s has %d MiB left, the spool may take %v", where, f.Available>>20, s.Spool.MaxBytes),
			"free space or lower spool.max_bytes")
	}
	return ok(check, fmt.Sprintf("%s has %d MiB left", where, f.Available>>20))
}
