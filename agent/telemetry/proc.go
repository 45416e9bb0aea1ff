package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
)

// The files under proc are described in proc(5) and the kernel's
// Documentation/filesystems/proc.rst.

// memory is in bytes. available is what a new program could have without
// swapping, which is what a user means by free.
type memory struct{ total, available uint64 }

func (m memory) used() uint64 { return m.total - m.available }

func (m memory) percentUsed() int32 { return percent(m.used(), m.total) }

// percent rounds to the nearest whole percent; 0 of 0 is 0.
func percent(part, whole uint64) int32 {
	if whole == 0 {
		return 0
	}
	return int32(math.Round(100 * float64(part) / float64(whole)))
}

// cpuTimes are the ticks of all cpus since boot.
type cpuTimes struct{ idle, total uint64 }

// usageSince is the busy part, 0…1, of the ticks since before. Time stolen by a
// hypervisor is busy: it was wanted and is not available.
func (t cpuTimes) usageSince(before cpuTimes) float64 {
	if t.total <= before.total {
		return 0
	}
	total := t.total - before.total
	idle := uint64(0)
	if t.idle > before.idle { // iowait may go backwards, proc(5)
		idle = min(t.idle-before.idle, total)
	}
	return 1 - float64(idle)/float64(total)
}

func readUptime(root fs.FS) (time.Duration, error) {
	b, err := fs.ReadFile(root, "proc/uptime")
	if err != nil {
		return 0, err
	}
	return parseUptime(b)
}

func parseUptime(b []byte) (time.Duration, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil || !(seconds >= 0 && seconds < math.MaxInt64/float64(time.Second)) {
		return 0, fmt.Errorf("proc/uptime: %q is no number of seconds", clip(first))
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

func readCPUTimes(root fs.FS) (cpuTimes, error) {
	b, err := fs.ReadFile(root, "proc/stat")
	if err != nil {
		return cpuTimes{}, err
	}
	return parseCPUTimes(b)
}

func parseCPUTimes(b []byte) (cpuTimes, error) {
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) == 0 || f[0] != "cpu" {
			continue
		}
		// user nice system idle iowait irq softirq steal; guest and guest_nice
		// follow and are in user and nice already.
		if len(f) < 5 {
			return cpuTimes{}, errors.New("proc/stat: the cpu line has no idle time")
		}
		var t cpuTimes
		for i, s := range f[1:min(len(f), 9)] {
			n, err := strconv.ParseUint(s, 10, 63)
			if err != nil {
				return cpuTimes{}, fmt.Errorf("proc/stat: field %d of the cpu line: %q is no count", i+1, clip(s))
			}
			if t.total > math.MaxUint64-n {
				return cpuTimes{}, errors.New("proc/stat: the cpu line's sum is out of range")
			}
			t.total += n
			if i == 3 || i == 4 {
				t.idle += n
			}
		}
		return t, nil
	}
	return cpuTimes{}, errors.New("proc/stat: no cpu line")
}

func readMemory(root fs.FS) (memory, error) {
	b, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return memory{}, err
	}
	return parseMemory(b)
}

func parseMemory(b []byte) (memory, error) {
	var m memory
	for _, want := range []struct {
		name string
		into *uint64
	}{{"MemTotal", &m.total}, {"MemAvailable", &m.available}} {
		v, ok := field(b, want.name)
		if !ok {
			return memory{}, fmt.Errorf("proc/meminfo: no %s", want.name)
		}
		kb, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(v, "kB")), 10, 50)
		if err != nil {
			return memory{}, fmt.Errorf("proc/meminfo: %s: %q is no size", want.name, clip(v))
		}
		*want.into = kb << 10
	}
	m.available = min(m.available, m.total)
	return m, nil
}

func readLoad(root fs.FS) ([3]float64, error) {
	b, err := fs.ReadFile(root, "proc/loadavg")
	if err != nil {
		return [3]float64{}, err
	}
	return parseLoad(b)
}

func parseLoad(b []byte) ([3]float64, error) {
	f := strings.Fields(string(b))
	if len(f) < 3 {
		return [3]float64{}, fmt.Errorf("proc/loadavg: %d fields", len(f))
	}
	var load [3]float64
	for i := range load {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil || !(v >= 0 && v <= math.MaxInt32) {
			return [3]float64{}, fmt.Errorf("proc/loadavg: %q is no load", clip(f[i]))
		}
		load[i] = v
	}
	return load, nil
}

// readConntrack reads the number of entries and the largest allowed; both 0
// when the kernel tracks no connections.
func readConntrack(root fs.FS) (count, maximum int64, err error) {
	for name, into := range map[string]*int64{"nf_conntrack_count": &count, "nf_conntrack_max": &maximum} {
		b, err := fs.ReadFile(root, "proc/sys/net/netfilter/"+name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		if *into, err = strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err != nil {
			return 0, 0, fmt.Errorf("%s: %q is no count", name, clip(string(b)))
		}
	}
	return count, maximum, nil
}

// field finds the value of the first "name: value" or "name\t: value" line.
func field(b []byte, name string) (string, bool) {
	for line := range bytes.Lines(b) {
		k, v, ok := strings.Cut(string(line), ":")
		if ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

// clip keeps errors readable when a file holds something else entirely.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
