package qos

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// programs stand in for the packet programs: their tables in memory, a filter that
// answers nothing, and failures on demand.
type programs struct {
	slot   int
	tables [slots]*Table
	links  map[int]Link
	filter *ebpf.Program
	fail   map[string]error
}

func (p *programs) QoS() (int, error) { return p.slot, p.fail["QoS"] }
func (p *programs) SetQoS(slot int) error {
	if err := p.fail["SetQoS"]; err != nil {
		return err
	}
	p.slot = slot
	return nil
}
func (p *programs) QoSTable(slot int) (*Table, error) { return p.tables[slot], nil }
func (p *programs) SetQoSTable(slot int, t *Table) error {
	if err := p.fail["SetQoSTable"]; err != nil {
		return err
	}
	p.tables[slot] = t
	return nil
}
func (p *programs) SetQoSLinks(links map[int]Link) error {
	if err := p.fail["SetQoSLinks"]; err != nil && links != nil {
		return err
	}
	p.links = links
	return nil
}
func (p *programs) QoSFilter(Filter) int { return p.filter.FD() }

// inNamespace runs the test in a network namespace with wan, lan and lan2.
func inNamespace(t *testing.T) *programs {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root to make a network namespace")
	}
	runtime.LockOSThread() // for good: the thread ends with its namespace
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"wan", "lan", "lan2"} {
		port(t, name)
	}
	filter, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { filter.Close() })
	return &programs{slot: -1, filter: filter, fail: map[string]error{}}
}

func port(t *testing.T, name string) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: name + "-p"}); err != nil {
		t.Fatal(err)
	}
}

// kernel is all of ours in the namespace, as text.
func kernel(t *testing.T) string {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range links {
		if l.Type() == "ifb" {
			out = append(out, "ifb "+l.Attrs().Name)
		}
		queues, err := netlink.QdiscList(l)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queues {
			if q.Attrs().Parent == netlink.HANDLE_ROOT && q.Attrs().Handle != 0 {
				out = append(out, fmt.Sprintf("%s %s %x:", l.Attrs().Name, q.Type(), q.Attrs().Handle>>16))
			}
		}
		for slot := range slots {
			have, err := classes(l, slot)
			if err != nil {
				t.Fatal(err)
			}
			for n, c := range have {
				out = append(out, fmt.Sprintf("%s class %d.%d %d-%d prio %d", l.Attrs().Name, slot, n, c.Rate*8, c.Ceil*8, c.Prio))
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

var (
	simple = Config{Upload: 8e6, Download: 16e6, Queue: FIFO, Priority: 4, Classes: []Class{{ID: 1, Guaranteed: 2e6, Priority: 1}}}
	ports  = Ports{Uplinks: []string{"wan"}, Inside: []string{"lan", "lan2"}}
)

func withDevice() Config {
	c := simple
	c.Devices = []Device{{MAC: MAC{2, 0, 0, 0, 0, 1}, Upload: 1e6, Download: 3e6, Priority: -1}}
	return c
}

func index(t *testing.T, name string) int {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Index
}

// redirecting is a shaper whose programs can send arrivals through an ifb, whatever
// this kernel does with them then.
func redirecting(p *programs) *Shaper {
	s := New(Deps{Log: slog.New(slog.DiscardHandler), Programs: p})
	s.mirror = false
	return s
}

func TestApply(t *testing.T) {
	p := inNamespace(t)
	s := redirecting(p)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	clean := kernel(t)
	if clean != "" {
		t.Fatal(clean)
	}
	must(s.Apply(simple, ports))
	down := ifbOf(index(t, "wan"))
	want := fmt.Sprintf(`ifb %[1]s
%[1]s class 0.1 2000000-16000000 prio 1
%[1]s class 0.2 160000-16000000 prio 4
%[1]s class 0.4095 16000000-16000000 prio 0
%[1]s htb 6e67:
wan class 0.1 2000000-8000000 prio 1
wan class 0.2 80000-8000000 prio 4
wan class 0.4095 8000000-8000000 prio 0
wan htb 6e67:`, down)
	if diff := cmp.Diff(want, kernel(t)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[int]Link{index(t, "wan"): {Uplink: true, Divert: index(t, down)}}, p.links); diff != "" || p.slot != 0 {
		t.Error(p.slot, diff)
	}

	// The same again is nothing, also for another process.
	must(s.Apply(simple, ports))
	again := redirecting(p)
	must(again.Apply(simple, ports))
	if diff := cmp.Diff(want, kernel(t)); diff != "" || p.slot != 0 {
		t.Error(p.slot, diff)
	}

	// Whatever fails leaves what was.
	for _, step := range []string{"QoS", "SetQoSTable", "SetQoSLinks", "SetQoS"} {
		p.fail[step] = errors.New("no")
		links := p.links
		if err := s.Apply(withDevice(), ports); err == nil {
			t.Errorf("%s failed, and nothing said so", step)
		}
		delete(p.fail, step)
		if diff := cmp.Diff(want, kernel(t)); diff != "" || p.slot != 0 || !cmp.Equal(links, p.links) {
			t.Errorf("%s failed: %d %v %s", step, p.slot, p.links, diff)
		}
	}
	// So does a queueing discipline of somebody else.
	must(netlink.QdiscReplace(netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: index(t, "lan2"), Handle: 7 << 16, Parent: netlink.HANDLE_ROOT})))
	err := s.Apply(withDevice(), ports)
	if err == nil || !strings.Contains(err.Error(), "lan2 has the queueing discipline htb 7: of somebody else") {
		t.Error(err)
	}
	if got := strings.Replace(kernel(t), "lan2 htb 7:\n", "", 1); got != want {
		t.Error(cmp.Diff(want, got))
	}
	lenient := redirecting(p)
	must(lenient.Resume(withDevice(), ports))
	if got := lenient.Degraded(); len(got) != 1 || !strings.Contains(got[0], "download is not shaped: lan2") || !strings.Contains(kernel(t), "lan class 1.1") {
		t.Errorf("%v\n%s", got, kernel(t))
	}
	must(lenient.Resume(simple, ports))
	must(netlink.QdiscDel(netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: index(t, "lan2"), Handle: 7 << 16, Parent: netlink.HANDLE_ROOT})))
	if diff := cmp.Diff(want, kernel(t)); diff != "" {
		t.Error(diff)
	}

	// A change stands in the other slot; what a killed process left there goes.
	must(s.Apply(withDevice(), ports))
	got := kernel(t)
	for _, line := range []string{"ifb " + ifbInside, "lan class 1.1 3000000-3000000 prio 0", "lan2 class 1.1 3000000-3000000 prio 0", ifbInside + " class 1.1 1000000-1000000 prio 0", "wan class 1.1 2000000-8000000 prio 1"} {
		if !strings.Contains(got, line) {
			t.Errorf("no %s in\n%s", line, got)
		}
	}
	if strings.Contains(got, "class 0.") || p.slot != 1 {
		t.Errorf("slot %d:\n%s", p.slot, got)
	}
	wan, _ := netlink.LinkByName("wan")
	f := &force{cfg: simple, have: FIFO}
	must(f.build(wan, 0, linkTree(simple, 5e6)))
	must(s.Apply(simple, ports))
	if diff := cmp.Diff(want, kernel(t)); diff != "" || p.slot != 0 {
		t.Error(p.slot, diff)
	}

	// An uplink that comes late, one that goes, and a tree that is taken away.
	two := Ports{Uplinks: []string{"wan", "wan2"}}
	must(s.Follow(two))
	if diff := cmp.Diff(want, kernel(t)); diff != "" {
		t.Error(diff)
	}
	port(t, "wan2")
	must(s.Follow(two))
	if got := kernel(t); !strings.Contains(got, "wan2 class 0.1 2000000-8000000 prio 1") || p.slot != 0 || len(p.links) != 2 {
		t.Errorf("slot %d, %v:\n%s", p.slot, p.links, got)
	}
	must(dropRoot(wan))
	must(s.Follow(ports))
	if diff := cmp.Diff(want, kernel(t)); diff != "" || len(p.links) != 1 {
		t.Error(p.links, diff)
	}

	list, err := s.Statistics()
	must(err)
	if len(list) != 4 || list[0].ClassID != 1 || !list[0].Upload || list[0].Interface != "wan" || list[3].Upload || list[3].ClassID != 0 {
		t.Errorf("%+v", list)
	}
	must(s.Off())
	if got := kernel(t); got != "" || p.slot != -1 || len(p.links) != 0 {
		t.Errorf("off: %d %v\n%s", p.slot, p.links, got)
	}
	must(again.Apply(simple, Ports{}))
	if got := again.Degraded(); len(got) != 1 || !strings.Contains(got[0], "zone WAN") {
		t.Error(got)
	}
	must(again.Apply(withDevice(), ports))
	must(Remove())
	if got := kernel(t); got != "" {
		t.Errorf("removed:\n%s", got)
	}
}

// TestQueues: each kind of queue is made where the kernel has it, and where it has
// not, the next best, by name.
func TestQueues(t *testing.T) {
	p := inNamespace(t)
	for _, q := range []Queue{FIFO, FQCoDel, Cake} {
		s := New(Deps{Log: slog.New(slog.DiscardHandler), Programs: p})
		c := withDevice()
		c.Queue, c.Cake = q, CakeOptions{Isolation: "dual-srchost", RTT: 50000, NAT: true, ACKFilter: true}
		if err := s.Apply(c, ports); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		wan, _ := netlink.LinkByName("wan")
		queues, err := netlink.QdiscList(wan)
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]int{}
		for _, have := range queues {
			if have.Type() != "clsact" { // before Linux 6.3, for mirred
				kinds[have.Type()]++
			}
		}
		lacking := strings.Join(s.Degraded(), "\n")
		have := q
		for ; kinds[string(have)] == 0; have, _ = have.poorer() {
			if have == "" {
				t.Fatalf("%s: %v", q, kinds)
			}
		}
		list, err := s.Statistics()
		if err != nil || len(list) == 0 {
			t.Fatalf("%s: %v %v", q, list, err)
		}
		for _, st := range list {
			if st.Queue != have {
				t.Errorf("%s: statistics tell of %q, the kernel of %v", q, st.Queue, kinds)
			}
		}
		if lacking == "" {
			if diff := cmp.Diff(map[string]int{"htb": 1, string(q): 2}, kinds); diff != "" {
				t.Errorf("%s: %s", q, diff)
			}
		} else {
			t.Logf("SKIPPED: %s", lacking)
			if kinds[string(q)] > 0 || !strings.Contains(lacking, "the kernel has no "+string(q)) {
				t.Errorf("%s: %v, %s", q, kinds, lacking)
			}
		}
		if err := s.Off(); err != nil {
			t.Fatal(err)
		}
	}
}
