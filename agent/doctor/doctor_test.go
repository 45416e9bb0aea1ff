package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/subsystem"
)

const testKey = "ngfw_dev_0123456789abcdef0123456789abcdef"

// machine is one on which everything is as it should be, for a test to spoil.
type machine struct {
	root  fstest.MapFS
	types map[string]FileSystem
	clock Clock
	now   time.Time
	nft   error
	nat   []string // tables that translate
	kern  Kernel
	file  string // the settings

	optional []string
}

type features struct {
	lacks, parts map[string]error
	attachment   string
}

func (f features) Features() map[string]error   { return f.lacks }
func (f features) Attachment() string           { return f.attachment }
func (f features) Subsystems() map[string]error { return f.parts }

// whole is a kernel that has everything.
func whole() features {
	f := features{lacks: map[string]error{"xdp": nil, "tc": nil}, parts: map[string]error{}, attachment: "tcx"}
	for _, p := range parts {
		f.parts[p.name] = nil
	}
	return f
}

func (f features) without(part string) features {
	f.parts = maps.Clone(f.parts)
	f.parts[part] = fmt.Errorf("%w (%w)", subsystem.ErrMissing, unix.ENOENT)
	return f
}

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func healthy(t *testing.T) *machine {
	m := &machine{
		root: fstest.MapFS{
			"proc/self/status":                          file("Name:\tx\nCapEff:\t000001ffffffffff\n"),
			"proc/sys/kernel/osrelease":                 file("6.12.0-56-amd64\n"),
			"sys/kernel/btf/vmlinux":                    file("\x9f\xeb\x00bpf_ct_release\x00"),
			"sys/kernel/btf/nf_conntrack":               file("\x00bpf_skb_ct_lookup\x00"),
			"proc/sys/net/netfilter/nf_conntrack_count": file("0\n"),
			"proc/sys/net/ipv4/ip_forward":              file("1\n"),
			"proc/sys/net/ipv6/conf/all/forwarding":     file("1\n"),
		},
		types: map[string]FileSystem{
			"/sys/fs/bpf": {Type: unix.BPF_FS_MAGIC}, "/var/lib": {Available: 10 << 30},
		},
		clock: Clock{Synchronised: true, Error: time.Millisecond},
		now:   time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
		kern:  whole(),
		file:  filepath.Join(t.TempDir(), "agent.yaml"),
	}
	m.settings(t, "api_key: "+testKey+"\n")
	return m
}

func (m *machine) settings(t *testing.T, content string) {
	t.Helper()
	if err := os.WriteFile(m.file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) examine() map[string]Result {
	cfg := DefaultConfig()
	cfg.SettingsPath, cfg.Optional = m.file, m.optional
	d := New(cfg, Deps{
		Root: m.root, Kernel: m.kern, Tables: func() ([]string, error) { return m.nat, m.nft }, Now: func() time.Time { return m.now },
		Clock: func() (Clock, error) { return m.clock, nil },
		FileSystem: func(path string) (FileSystem, error) {
			if f, ok := m.types[path]; ok {
				return f, nil
			}
			return FileSystem{}, fs.ErrNotExist
		},
	})
	found := map[string]Result{}
	for _, r := range d.Examine(context.Background()) {
		found[r.Check] = r
	}
	return found
}

func TestHealthyMachine(t *testing.T) {
	m := healthy(t)
	for check, r := range m.examine() {
		if check == "server" { // none is set
			continue
		}
		if r.Outcome != OK || r.Remedy != "" {
			t.Errorf("%+v", r)
		}
	}
}

func TestWhatIsWrongIsFound(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil   func(*machine)
		check   string
		outcome Outcome
		text    string // of detail or remedy
	}{
		"no settings":      {func(m *machine) { os.Remove(m.file) }, "settings", Warn, "ngfw-agent configure"},
		"no key":           {func(m *machine) { m.settings(t, "server: grpc://127.0.0.1:1\n") }, "device key", Fail, "--api-key-file"},
		"key file is gone": {func(m *machine) { m.settings(t, "api_key_file: /nonexistent/key\n") }, "device key", Fail, "no such file"},
		"open key":         {func(m *machine) { os.Chmod(m.file, 0o644) }, "device key", Warn, "chmod 600"},
		"not root":         {func(m *machine) { m.root["proc/self/status"] = file("CapEff:\t0000000000000000\n") }, "privileges", Fail, "CAP_NET_ADMIN"},
		"without BPF":      {func(m *machine) { m.root["proc/self/status"] = file("CapEff:\t0000000000003000\n") }, "privileges", Fail, "CAP_BPF"},
		"old kernel":       {func(m *machine) { m.root["proc/sys/kernel/osrelease"] = file("5.15.0-91-generic\n") }, "kernel", Fail, "6.1"},
		"odd kernel":       {func(m *machine) { m.root["proc/sys/kernel/osrelease"] = file("custom\n") }, "kernel", Warn, "custom"},
		"no BTF":           {func(m *machine) { delete(m.root, "sys/kernel/btf/vmlinux") }, "btf", Fail, "CONFIG_DEBUG_INFO_BTF"},
		"no bpffs":         {func(m *machine) { m.types["/sys/fs/bpf"] = FileSystem{Type: unix.SYSFS_MAGIC} }, "bpffs", Fail, "mount -t bpf"},
		"no conntrack":     {func(m *machine) { delete(m.root, "proc/sys/net/netfilter/nf_conntrack_count") }, "conntrack", Fail, "modprobe"},
		"no kfunc":         {func(m *machine) { delete(m.root, "sys/kernel/btf/nf_conntrack") }, "conntrack kfuncs", Fail, "lacks bpf_skb_ct_lookup"},
		"name within name": {func(m *machine) { m.root["sys/kernel/btf/nf_conntrack"] = file("\x00bpf_skb_ct_lookup2\x00") }, "conntrack kfuncs", Fail, "bpf_skb_ct_lookup"},
		"no nftables":      {func(m *machine) { m.nft = unix.EPROTONOSUPPORT }, "nftables", Fail, "modprobe nf_tables"},
		"nftables as user": {func(m *machine) { m.nft = unix.EPERM }, "nftables", Warn, "root"},
		"no TC":            {func(m *machine) { m.kern = features{lacks: map[string]error{"TC attachment": errors.New("no TC")}} }, "TC attachment", Fail, "no TC"},
		"feature":          {func(m *machine) { m.kern = features{lacks: map[string]error{"xdp": errors.New("no XDP")}} }, "xdp", Fail, "no XDP"},
		"optional feature": {func(m *machine) {
			m.kern, m.optional = features{lacks: map[string]error{"spare": errors.New("no spare")}}, []string{"spare"}
		}, "spare", Warn, "no spare"},
		"no probing": {func(m *machine) { m.kern = nil }, "packet programs", Warn, "status"},
		"no shaping": {func(m *machine) { m.kern = whole().without(subsystem.HTB) }, "sch_htb", Warn, "modprobe -a sch_htb"},
		"no cake":    {func(m *machine) { m.kern = whole().without(subsystem.Cake) }, "sch_cake", Warn, "missing"},
		"no table":   {func(m *machine) { m.kern = whole().without(subsystem.Backstop) }, "nftables table", Fail, "nft_ct"},
		"no cls_bpf": {func(m *machine) { m.kern = whole().without(subsystem.BPFFilter) }, "cls_bpf", Warn, "cls_bpf"},
		"nor TCX": {func(m *machine) {
			f := whole().without(subsystem.BPFFilter)
			f.attachment = "clsact"
			m.kern = f
		}, "cls_bpf", Fail, "cls_bpf"},
		"unknown part":      {func(m *machine) { f := whole(); f.parts[subsystem.IFB] = unix.EBUSY; m.kern = f }, "ifb", Warn, "dmesg"},
		"part as user":      {func(m *machine) { f := whole(); f.parts[subsystem.IFB] = unix.EPERM; m.kern = f }, "ifb", Warn, "root"},
		"no forwarding":     {func(m *machine) { m.root["proc/sys/net/ipv4/ip_forward"] = file("0\n") }, "forwarding IPv4", Warn, "ip_forward is 0"},
		"no IPv6":           {func(m *machine) { delete(m.root, "proc/sys/net/ipv6/conf/all/forwarding") }, "forwarding IPv6", Warn, "lacks"},
		"another's NAT":     {func(m *machine) { m.nat = []string{"ip nat", "ip6 nat"} }, "sole NAT", Warn, "nft delete table ip nat"},
		"br_netfilter":      {func(m *machine) { m.root["proc/sys/net/bridge/bridge-nf-call-iptables"] = file("1\n") }, "plain bridges", Warn, "net.bridge.bridge-nf-call-iptables=0"},
		"clock in 1970":     {func(m *machine) { m.now = time.Unix(60, 0) }, "clock", Fail, "1970"},
		"free-running":      {func(m *machine) { m.clock.Synchronised = false }, "clock", Warn, "chrony"},
		"full disk":         {func(m *machine) { m.types["/var/lib"] = FileSystem{Available: 1 << 20} }, "disk", Fail, "1 MiB left"},
		"spool may fill it": {func(m *machine) { m.types["/var/lib"] = FileSystem{Available: 100 << 20} }, "disk", Warn, "spool.max_bytes"},
		"read-only disk":    {func(m *machine) { m.types["/var/lib"] = FileSystem{Available: 9 << 30, ReadOnly: true} }, "disk", Fail, "read-only"},
	} {
		t.Run(name, func(t *testing.T) {
			m := healthy(t)
			tc.spoil(m)
			r := m.examine()[tc.check]
			if r.Outcome != tc.outcome || !strings.Contains(r.Detail+r.Remedy, tc.text) || r.Remedy == "" {
				t.Errorf("%+v, want %s and %q", r, tc.outcome, tc.text)
			}
			if r.Lost == "" && slices.ContainsFunc(parts, func(p part) bool { return p.check == r.Check }) {
				t.Errorf("%+v: it does not say what is lost", r)
			}
			if strings.Contains(r.Detail, testKey) {
				t.Errorf("%+v shows the key", r)
			}
		})
	}
}

func TestSysAdminHoldsBPF(t *testing.T) {
	// CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN
	lacking, err := lackingCapabilities([]byte("CapEff:\t0000000000203000\n"))
	if err != nil || len(lacking) != 0 {
		t.Errorf("%v, %v", lacking, err)
	}
}

// The real surfaces answer on the machine that runs the test.
func TestRealSurfaces(t *testing.T) {
	results := New(Config{SettingsPath: filepath.Join(t.TempDir(), "none"), Timeout: time.Second}, Deps{}).Examine(context.Background())
	seen := map[string]Outcome{}
	for _, r := range results {
		seen[r.Check] = r.Outcome
		if (r.Outcome == OK) != (r.Remedy == "") || r.Detail == "" {
			t.Errorf("%+v: what is not ok has a remedy, what is ok has none", r)
		}
	}
	if seen["kernel"] != OK || seen["disk"] == "" || seen["clock"] == "" {
		t.Errorf("outcomes %v", seen)
	}
	if f, err := statfs("/proc"); err != nil || f.Type != unix.PROC_SUPER_MAGIC {
		t.Errorf("/proc is %+v, %v", f, err)
	}
}

func TestWorst(t *testing.T) {
	for want, outcomes := range map[Outcome][]Outcome{OK: {OK}, Warn: {OK, Warn, OK}, Fail: {Fail, Warn, OK}} {
		var results []Result
		for _, o := range outcomes {
			results = append(results, Result{Outcome: o})
		}
		if got := Worst(results); got != want {
			t.Errorf("worst of %v is %s", outcomes, got)
		}
	}
}
