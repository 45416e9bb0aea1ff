package dataplane

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// filters are the programs in the order in which they look at what comes by.
func filters(t *testing.T, index uint32, hook string) (names []string) {
	t.Helper()
	list, err := netlink.FilterList(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: int(index)}}, clsactParent(hook))
	if err != nil {
		t.Error(err)
	}
	for _, f := range list {
		if b, ok := f.(*netlink.BpfFilter); ok {
			names = append(names, b.Name)
		}
	}
	return names
}

func newClsact(t *testing.T) *kernel {
	k := newKernel(t, 16)
	k.tcMode = TCClsact
	clear(k.ports)
	k.apply(1, "", usual)
	return k
}

// An older version's filters go when ours come, also where ours are TCX.
func TestOlderFiltersGo(t *testing.T) {
	for _, mode := range []TCMode{TCClsact, TCX} {
		t.Run(string(mode), func(t *testing.T) {
			if err := haveTCX(); mode == TCX && err != nil {
				t.Skipf("SKIPPED: %v", err)
			}
			k := newClsact(t)
			k.tcMode = mode
			links := filepath.Join(k.older(), "links")
			k.in(func() {
				p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
					Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
				})
				if err != nil {
					t.Error(err)
					return
				}
				defer p.Close()
				if err := errors.Join(clsactAttach(int(k.lan), hookIngress, "older", p), p.Pin(filepath.Join(links, strconv.Itoa(int(k.lan))+"-"+hookIngress)), k.AttachAll()); err != nil {
					t.Error(err)
					return
				}
				want := []string{"ngfw_ingress"}
				if mode == TCX {
					want = nil
				}
				if got := filters(t, k.lan, hookIngress); !slices.Equal(got, want) {
					t.Errorf("the filters are %q, want %q", got, want)
				}
				if !k.attached(int(k.lan), hookIngress) {
					t.Error("ours does not look at what arrives")
				}
			})
			if _, err := os.Stat(filepath.Dir(links)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the older pins: %v", err)
			}
		})
	}
}

// others makes the interface's filter a program that is not ours.
func others(t *testing.T, index uint32, priority uint16) {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
	if err != nil {
		t.Error(err)
		return
	}
	defer p.Close()
	if err := netlink.FilterReplace(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: int(index), Parent: netlink.HANDLE_MIN_INGRESS, Handle: 1, Priority: priority, Protocol: unix.ETH_P_ALL,
		},
		Fd: p.FD(), Name: "others", DirectAction: true,
	}); err != nil {
		t.Error(err)
	}
}

func TestClsactHoldsWhatItWasGiven(t *testing.T) {
	k := newClsact(t)
	k.in(func() {
		if err := k.AttachAll(); err != nil {
			t.Error(err)
			return
		}
		for hook, want := range map[string]string{hookIngress: "ngfw_ingress", hookEgress: "ngfw_egress"} {
			if got := filters(t, k.lan, hook); !slices.Equal(got, []string{want}) {
				t.Errorf("%s has %q", hook, got)
			}
		}
		for _, p := range k.Ports() {
			if p.TC != TCClsact {
				t.Errorf("%s is attached by %s", p.Name, p.TC)
			}
		}
		others(t, k.wan, 7)
		before, err := clsactProgram(int(k.lan), hookIngress)
		if err != nil {
			t.Error(err)
		}
		// A process that was killed leaves all in place, and the next replaces it.
		next := openAt(t, k.pins, 16)
		next.tcMode = TCClsact
		if len(next.pinned) != len(k.ports) {
			t.Errorf("%d of %d interfaces are known from before", len(next.pinned), len(k.ports))
		}
		if err := next.AttachAll(); err != nil {
			t.Error(err)
		}
		after, err := clsactProgram(int(k.lan), hookIngress)
		if err != nil || after == before || after == 0 {
			t.Errorf("program %d took the place of %d: %v", after, before, err)
		}
		if got := filters(t, k.lan, hookIngress); len(got) != 1 {
			t.Errorf("taken over: %q", got)
		}
		if err := errors.Join(k.Close(), next.Close(), Remove(k.pins)); err != nil {
			t.Error(err)
		}
		if got := append(filters(t, k.lan, hookIngress), filters(t, k.lan, hookEgress)...); len(got) != 0 {
			t.Errorf("removed: %q", got)
		}
		if got := filters(t, k.wan, hookIngress); !slices.Equal(got, []string{"others"}) {
			t.Errorf("removed beside others: %q", got)
		}
		qdiscs, err := netlink.QdiscList(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: int(k.lan)}})
		if err != nil || slices.ContainsFunc(qdiscs, func(q netlink.Qdisc) bool { return q.Type() == "clsact" }) {
			t.Errorf("the qdisc stayed: %v %v", qdiscs, err)
		}
	})
}

func TestClsactFilterIsPutBack(t *testing.T) {
	k := newClsact(t)
	k.in(func() {
		if err := k.AttachAll(); err != nil {
			t.Error(err)
			return
		}
		ports := len(k.ports)
		if n := k.releaseDetached(); n != 0 {
			t.Errorf("%d of %d interfaces are said to have lost a program", n, ports)
		}
		if err := clsactDetach(int(k.lan), hookEgress); err != nil {
			t.Error(err)
		}
		if n := k.releaseDetached(); n != 1 {
			t.Errorf("one was taken off, %d noticed", n)
		}
		if err := k.AttachAll(); err != nil || k.releaseDetached() != 0 || len(k.ports) != ports {
			t.Errorf("attached again: %v, %d ports of %d", err, len(k.ports), ports)
		}
		// A bridge takes a port's frames up: they are judged there.
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br"}}
		lan, err := netlink.LinkByIndex(int(k.lan))
		if err := errors.Join(err, netlink.LinkAdd(bridge), netlink.LinkSetMaster(lan, bridge), k.AttachAll()); err != nil {
			t.Error(err)
		}
		if got := append(filters(t, k.lan, hookIngress), filters(t, k.lan, hookEgress)...); len(got) != 0 {
			t.Errorf("a port of a bridge has %q", got)
		}
	})
}

// What arrives by clsact is judged first and once, whatever else is there.
func TestClsactComesFirst(t *testing.T) {
	k := newClsact(t)
	k.in(func() {
		if err := netlink.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: int(k.lan), Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
		}}); err != nil {
			t.Error(err)
		}
		others(t, k.lan, clsactPriority)
		if err := k.AttachAll(); err != nil {
			t.Error(err)
		}
		if got := filters(t, k.lan, hookIngress); !slices.Equal(got, []string{"ngfw_ingress", "others"}) {
			t.Errorf("the order is %q", got)
		}
	})
}

// A router that gets another way in its settings, or another kernel's pins.
func TestWayOfAttachmentChanges(t *testing.T) {
	if err := haveTCX(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	k := newClsact(t)
	k.in(func() {
		for i, mode := range []TCMode{TCX, TCClsact, TCX} {
			k.tcMode = mode
			clear(k.ports)
			if err := k.AttachAll(); err != nil {
				t.Errorf("%d: %v", i, err)
			}
			got := filters(t, k.lan, hookIngress)
			if (mode == TCClsact) != (len(got) == 1) || !k.attached(int(k.lan), hookIngress) || !k.attached(int(k.lan), hookEgress) {
				t.Errorf("%s: filters %q", mode, got)
			}
			if was := pinnedAs(k.Dataplane.pins.link(int(k.lan), hookEgress)); was != mode {
				t.Errorf("%s is pinned as %q", mode, was)
			}
		}
	})
}

// An ingress qdisc keeps clsact from its place: the interface is refused, closed
// and named.
func TestClsactBesideIngress(t *testing.T) {
	k := newClsact(t)
	k.in(func() {
		if err := netlink.QdiscAdd(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: int(k.lan), Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS,
		}}); err != nil {
			t.Error(err)
		}
		err := k.AttachAll()
		if err == nil || len(k.ports) == 0 {
			t.Errorf("%d ports: %v", len(k.ports), err)
		}
		if _, attached := k.ports[int(k.lan)]; attached {
			t.Error("the interface counts as attached")
		}
		if _, err := os.Stat(k.Dataplane.pins.link(int(k.lan), hookEgress)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a hook that was not made is pinned: %v", err)
		}
	})
}
