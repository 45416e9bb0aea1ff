package dataplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Before TCX, programs are filters of the clsact qdisc. A filter is its
// interface's: no pin holds it, and it stays when its process ends. So the pin
// of such a hook is the program's, which says whose the filter is.
//
// Ours is the first filter and has a handle of its own. Put there again it takes
// the place of the one before in one step (cls_bpf_change replaces it in the
// list), so no packet meets none or both.
const (
	clsactPriority = 1
	clsactHandle   = 0x6e67 // "ng"; others' filters of that priority may stand beside it
)

func clsactParent(hook string) uint32 {
	if hook == hookIngress {
		return netlink.HANDLE_MIN_INGRESS
	}
	return netlink.HANDLE_MIN_EGRESS
}

// clsactAttach makes program the interface's filter, in the place of ours if it
// has one.
func clsactAttach(index int, hook, name string, program *ebpf.Program) error {
	err := netlink.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}})
	if errors.Is(err, unix.EEXIST) {
		err = clsactThere(index)
	}
	if err != nil {
		return fmt.Errorf("make the clsact qdisc: %w", err)
	}
	err = netlink.FilterReplace(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: index, Parent: clsactParent(hook), Handle: clsactHandle, Priority: clsactPriority, Protocol: unix.ETH_P_ALL,
		},
		Fd: program.FD(), Name: name, DirectAction: true,
	})
	if err != nil {
		return fmt.Errorf("set the clsact filter: %w", err)
	}
	return nil
}

// clsactThere refuses an ingress qdisc in clsact's place: it has no egress, and
// takes what is meant for there for its own.
func clsactThere(index int) error {
	qdiscs, err := netlink.QdiscList(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: index}})
	if err != nil {
		return err
	}
	for _, q := range qdiscs {
		if q.Attrs().Parent == netlink.HANDLE_INGRESS && q.Type() != "clsact" {
			return fmt.Errorf("the interface has the qdisc %q in its place: remove it (tc qdisc del dev DEVICE ingress)", q.Type())
		}
	}
	return nil
}

// clsactProgram is the program of our filter there; 0: there is none.
func clsactProgram(index int, hook string) (ebpf.ProgramID, error) {
	filters, err := netlink.FilterList(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: index}}, clsactParent(hook))
	if err != nil {
		return 0, fmt.Errorf("list the filters of interface %d: %w", index, err)
	}
	for _, f := range filters {
		if b, ok := f.(*netlink.BpfFilter); ok && b.Handle == clsactHandle && b.Priority == clsactPriority {
			return ebpf.ProgramID(b.Id), nil
		}
	}
	return 0, nil
}

// clsactDetach takes our filter off, and the qdisc if it was the last there. One
// that is gone, also with its interface, is as good.
func clsactDetach(index int, hook string) error {
	dev := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: index}}
	err := netlink.FilterDel(&netlink.BpfFilter{FilterAttrs: netlink.FilterAttrs{
		LinkIndex: index, Parent: clsactParent(hook), Handle: clsactHandle, Priority: clsactPriority, Protocol: unix.ETH_P_ALL,
	}})
	if err != nil && !absent(err) {
		return fmt.Errorf("remove the clsact filter of interface %d: %w", index, err)
	}
	for _, h := range []string{hookIngress, hookEgress} {
		if left, err := netlink.FilterList(dev, clsactParent(h)); err != nil || len(left) > 0 {
			return nil
		}
	}
	err = netlink.QdiscDel(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}})
	if err != nil && !absent(err) {
		return fmt.Errorf("remove the clsact qdisc of interface %d: %w", index, err)
	}
	return nil
}

// absent: no interface, no qdisc, no filter. A qdisc that is not there is an
// invalid argument to the kernel.
func absent(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL)
}

// releasePin gives up a hook: the pin and what it holds. A filter is taken off
// whichever program it has: a process that was killed between its two steps has
// left another one than is pinned.
func releasePin(pin string) error {
	number, hook, _ := strings.Cut(filepath.Base(pin), "-")
	index, err := strconv.Atoi(number)
	if err == nil && pinnedAs(pin) == TCClsact {
		if err := clsactDetach(index, hook); err != nil {
			return err
		}
	}
	return unpin(pin)
}

// unpin gives up a pin, and the link that it holds, if any, at once: the kernel lets
// go of a link that nobody holds only a little later, and until then takes no other
// in its place.
func unpin(pin string) error {
	if l, err := link.LoadPinnedLink(pin, nil); err == nil {
		err := l.Detach()
		if errors.Is(err, unix.ENOLINK) { // its interface is gone
			err = nil
		}
		if err := errors.Join(err, l.Close()); err != nil {
			return fmt.Errorf("take a program off: %w", err)
		}
	}
	if err := os.Remove(pin); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// releasePins gives up all hooks of a directory of pins.
func releasePins(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, releasePin(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}

func programID(p *ebpf.Program) (ebpf.ProgramID, error) {
	info, err := p.Info()
	if err != nil {
		return 0, fmt.Errorf("ask for a program's number: %w", err)
	}
	id, ok := info.ID()
	if !ok {
		return 0, errors.New("the kernel numbers no programs")
	}
	return id, nil
}
