package qos

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// classes of ours on a device, of one slot, by number.
func classes(l netlink.Link, slot int) (map[uint32]*netlink.HtbClass, error) {
	all, err := netlink.ClassList(l, 0)
	if err != nil {
		return nil, fmt.Errorf("list the classes of %s: %w", l.Attrs().Name, err)
	}
	out := map[uint32]*netlink.HtbClass{}
	for _, c := range all {
		htb, ok := c.(*netlink.HtbClass)
		if ok && htb.Handle>>16 == major && htb.Handle>>12&0xf == uint32(slot+1) {
			out[htb.Handle&0xfff] = htb
		}
	}
	return out, nil
}

// build adds a tree's classes and queues.
func (f *force) build(l netlink.Link, slot int, tree []node) error {
	for _, n := range tree {
		attrs := netlink.ClassAttrs{LinkIndex: l.Attrs().Index, Parent: major << 16, Handle: handle(slot, n.number)}
		if n.parent != 0 {
			attrs.Parent = handle(slot, n.parent)
		}
		c := netlink.NewHtbClass(attrs, netlink.HtbClassAttrs{
			Rate: n.rate, Ceil: n.ceil, Buffer: burst(n.rate), Cbuffer: burst(n.ceil), Quantum: quantum, Prio: uint32(n.priority),
		})
		if err := netlink.ClassAdd(c); err != nil {
			return fmt.Errorf("add class %x of %s: %w", minor(slot, n.number), l.Attrs().Name, err)
		}
		if n.inner {
			continue
		}
		if err := f.queue(l, slot, n); err != nil {
			return fmt.Errorf("class %x of %s: %w", minor(slot, n.number), l.Attrs().Name, err)
		}
	}
	return nil
}

// quantum is what equal classes get in turn, in bytes.
const quantum = 1514

// burst is what may pass at once after a pause, in bytes: two milliseconds' worth.
func burst(rate uint64) uint32 { return uint32(min(rate/8/500, 1<<20)) + 1600 }

// queue gives a class the queue that is wanted, or the best that the kernel has.
func (f *force) queue(l netlink.Link, slot int, n node) error {
	for {
		err := addQueue(l, handle(slot, n.number), 0, f.have, f.cfg.Cake, n.ceil)
		if err == nil {
			return nil
		}
		poorer, ok := f.have.poorer()
		if !ok || !unknownKind(err) {
			return err
		}
		f.have = poorer
	}
}

// raze removes the classes of a slot, their queues and what waits in them.
func raze(l netlink.Link, slot int) error {
	have, err := classes(l, slot)
	if err != nil {
		return err
	}
	var numbers []uint32
	for n := range have {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers) // the root has the highest
	for _, n := range numbers {
		if err := netlink.ClassDel(have[n]); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove class %x of %s: %w", minor(slot, n), l.Attrs().Name, err)
		}
	}
	return nil
}

// stands says whether the tree is there as it is wanted. Rates are compared as the
// kernel keeps them, in bytes.
func stands(l netlink.Link, slot int, tree []node) (bool, error) {
	have, err := classes(l, slot)
	if err != nil || len(have) != len(tree) {
		return false, err
	}
	for _, n := range tree {
		c := have[n.number]
		if c == nil || c.Rate != n.rate/8 || c.Ceil != n.ceil/8 || int(c.Prio) != n.priority && !n.inner {
			return false, nil
		}
	}
	return true, nil
}
