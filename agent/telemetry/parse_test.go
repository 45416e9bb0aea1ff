package telemetry

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		parse func([]byte) error
		bad   []string
	}{
		{"uptime", func(b []byte) error { _, err := parseUptime(b); return err }, []string{"", "x 1", "-1 0", "NaN 1", "+Inf", "1e300"}},
		{"stat", func(b []byte) error { _, err := parseCPUTimes(b); return err },
			[]string{"", "cpu0 1 2 3 4 5", "cpu 1 2 3", "cpu 1 2 x 4 5", "cpu 1 2 -3 4 5", "cpu 9223372036854775807 9223372036854775807 9223372036854775807 4"}},
		{"meminfo", func(b []byte) error { _, err := parseMemory(b); return err },
			[]string{"", "MemTotal: 5 kB", "MemTotal: x kB\nMemAvailable: 1 kB", "MemTotal: 99999999999999999999 kB\nMemAvailable: 1 kB"}},
		{"loadavg", func(b []byte) error { _, err := parseLoad(b); return err }, []string{"", "1 2", "1 2 x", "NaN 1 1", "-1 0 0"}},
	} {
		for _, bad := range tc.bad {
			if tc.parse([]byte(bad)) == nil {
				t.Errorf("%s: %q was accepted", tc.name, bad)
			}
		}
	}
}

func TestParseCPUInfo(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want processor
	}{
		"mips": {"system type\t\t: MediaTek MT7621\nprocessor\t\t: 0\ncpu model\t\t: MIPS 1004Kc V2.15\nprocessor\t\t: 1\ncpu model\t\t: MIPS 1004Kc V2.15\n",
			processor{model: "MIPS 1004Kc V2.15", cores: 2}},
		"riscv":       {"processor\t: 0\nhart\t: 1\nisa\t: rv64imafdc\nuarch\t: sifive,u74-mc\n", processor{model: "sifive,u74-mc", cores: 1}},
		"power":       {"processor\t: 0\ncpu\t\t: POWER9\nclock\t\t: 2300.000000MHz\n", processor{model: "POWER9", cores: 1, mhz: 2300}},
		"other arm":   {"processor\t: 0\nCPU implementer\t: 0x51\nCPU part\t: 0x800\n", processor{model: "implementer 0x51 part 0x800", cores: 1}},
		"nothing":     {"", processor{model: "unknown"}},
		"not numbers": {"processor\t: x\ncpu MHz\t: fast\n", processor{model: "unknown"}},
	} {
		if d := cmp.Diff(tc.want, parseCPUInfo([]byte(tc.in)), cmp.AllowUnexported(processor{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{`/mnt/a\040b`: "/mnt/a b", `\134`: `\`, `a\`: `a\`, `\9zz`: `\9zz`, `\777`: `\777`} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestStolenTimeAndBackwardIdle(t *testing.T) {
	before := cpuTimes{idle: 900, total: 1000}
	if got := (cpuTimes{idle: 899, total: 1100}).usageSince(before); got != 1 {
		t.Errorf("usage %v when idle went backwards, want 1", got)
	}
	if got := (cpuTimes{idle: 10, total: 20}).usageSince(before); got != 0 {
		t.Errorf("usage %v when all went backwards, want 0", got)
	}
}

// FuzzProc: whatever the files hold, parsers return, and what they accept is in
// range.
func FuzzProc(f *testing.F) {
	for _, seed := range []string{
		"12.5 3.0\n", "cpu  1 2 3 4 5 6 7 8 9 10\n", "MemTotal: 10 kB\nMemAvailable: 20 kB\n", "0.1 0.2 0.3 1/2 3\n",
		"processor : 0\nmodel name : x\ncpu MHz : 1e9\n", "/dev/sda1 /a\\040b ext4 rw 0 0\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := parseUptime(b); err == nil && d < 0 {
			t.Errorf("uptime %v", d)
		}
		if c, err := parseCPUTimes(b); err == nil {
			if u := c.usageSince(cpuTimes{}); !(u >= 0 && u <= 1) {
				t.Errorf("usage %v of %+v", u, c)
			}
		}
		if m, err := parseMemory(b); err == nil && (m.available > m.total || m.percentUsed() < 0 || m.percentUsed() > 100) {
			t.Errorf("memory %+v", m)
		}
		if l, err := parseLoad(b); err == nil {
			for _, v := range l {
				if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
					t.Errorf("load %v", l)
				}
			}
		}
		if p := parseCPUInfo(b); p.mhz < 0 || p.cores < 0 || p.model == "" {
			t.Errorf("processor %+v", p)
		}
		for _, m := range parseMounts(b) {
			if m.device == "" || m.point == "" {
				t.Errorf("mount %+v", m)
			}
		}
	})
}

// FuzzConntrack: a datagram of any bytes neither panics nor counts more entries
// than it can hold.
func FuzzConntrack(f *testing.F) {
	f.Add(conntrackEntry(7, unix.IPPROTO_TCP))
	f.Add(append(conntrackEntry(7, unix.IPPROTO_UDP), conntrackEntry(7, unix.IPPROTO_ICMP)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Protocols
		_, _ = p.count(b, 7)
		if n := p.TCP + p.UDP + p.Other; n > int64(len(b)/unix.NLMSG_HDRLEN) {
			t.Errorf("%d entries in %d bytes", n, len(b))
		}
	})
}

// conntrackEntry builds the message of one entry.
func conntrackEntry(seq uint32, protocol byte) []byte {
	nest := func(kind uint16, b []byte) []byte {
		out := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(b)))
		out = append(binary.NativeEndian.AppendUint16(out, kind), b...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
		return out
	}
	const nested = 0x8000 // NLA_F_NESTED
	body := append(make([]byte, nfgenmsgLen), nest(ctaTupleOrig|nested, nest(ctaTupleProto|nested, nest(ctaProtoNum, []byte{protocol})))...)
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	b = binary.NativeEndian.AppendUint16(b, nfnlSubsysCtnetlink<<8)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_MULTI)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(b, body...)
}

func TestConntrackCount(t *testing.T) {
	b := conntrackEntry(7, unix.IPPROTO_TCP)
	b = append(b, conntrackEntry(7, unix.IPPROTO_UDP)...)
	b = append(b, conntrackEntry(6, unix.IPPROTO_TCP)...) // of an earlier walk
	b = append(b, conntrackEntry(7, unix.IPPROTO_GRE)...)
	var p Protocols
	done, err := p.count(b, 7)
	if err != nil || done {
		t.Fatalf("done %v, err %v", done, err)
	}
	if d := cmp.Diff(Protocols{TCP: 1, UDP: 1, Other: 1}, p); d != "" {
		t.Error(d)
	}
	end := conntrackEntry(7, 0)[:unix.NLMSG_HDRLEN+4]
	binary.NativeEndian.PutUint32(end, uint32(len(end)))
	binary.NativeEndian.PutUint16(end[4:], unix.NLMSG_DONE)
	if done, err := p.count(end, 7); !done || err != nil {
		t.Errorf("done %v, err %v at the end", done, err)
	}
	binary.NativeEndian.PutUint32(end[16:], uint32(0x100000000-uint64(unix.EPERM)))
	if _, err := p.count(end, 7); err != unix.EPERM {
		t.Errorf("err %v, want EPERM", err)
	}
}

func TestUptimeOfLongRun(t *testing.T) {
	d, err := parseUptime([]byte("31536000.99 0.00\n"))
	if err != nil || d.Truncate(time.Second) != 365*24*time.Hour {
		t.Errorf("%v, %v", d, err)
	}
}
