package qos

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Filter is a program that tells HTB a packet's class.
type Filter string

const (
	FilterLink     Filter = "link"
	FilterUpload   Filter = "upload"
	FilterDownload Filter = "download"
)

// stage is a tree that is to be on a device: an interface's own, or an ifb's.
type stage struct {
	port   string // the interface that it is for; "" for the ifb of all devices
	device string // that has the tree
	ifb    bool
	mirror bool // mirred sends the port's arrivals there, as no program can
	upload bool
	filter Filter
	tree   []node
}

func (s stage) direction() string {
	if s.upload {
		return "upload"
	}
	return "download"
}

// Names of our ifbs: one for each uplink, one for what devices send.
const (
	ifbPrefix = "ngfw-q"
	ifbInside = ifbPrefix + "-up"
)

func ifbOf(index int) string { return fmt.Sprintf("%s%d", ifbPrefix, index) }

// makeIFB makes it or finds it.
func makeIFB(name string) (netlink.Link, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.TxQLen, attrs.NumTxQueues, attrs.NumRxQueues = name, 1000, 1, 1
		if err := netlink.LinkAdd(&netlink.Ifb{LinkAttrs: attrs}); err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, fmt.Errorf("make the ifb %s: %w (the kernel needs CONFIG_IFB)", name, err)
		}
		if l, err = netlink.LinkByName(name); err != nil {
			return nil, fmt.Errorf("find the ifb %s: %w", name, err)
		}
	}
	if l.Type() != "ifb" {
		return nil, fmt.Errorf("an interface %s of type %s is in the way", name, l.Type())
	}
	if l.Attrs().Flags&unix.IFF_UP == 0 {
		// It is nobody's neighbour: without this it would have an IPv6 address.
		_ = netlink.LinkSetIP6AddrGenMode(l, 1)
		if err := netlink.LinkSetUp(l); err != nil {
			return nil, fmt.Errorf("set the ifb %s up: %w", name, err)
		}
	}
	return l, nil
}

// foreign is the root qdisc of somebody else.
type foreign struct{ device, qdisc string }

func (e *foreign) Error() string {
	return fmt.Sprintf("%s has the queueing discipline %s of somebody else, which is left as it is: remove it (tc qdisc del dev %s root)", e.device, e.qdisc, e.device)
}

// root says whether the device has our HTB. The kernel's own defaults have no
// handle.
func root(l netlink.Link) (ours bool, err error) {
	all, err := netlink.QdiscList(l)
	if err != nil {
		return false, fmt.Errorf("list the queueing disciplines of %s: %w", l.Attrs().Name, err)
	}
	for _, q := range all {
		a := q.Attrs()
		switch {
		case a.Parent != netlink.HANDLE_ROOT || a.LinkIndex != l.Attrs().Index:
		case a.Handle == major<<16 && q.Type() == "htb":
			return true, nil
		case a.Handle>>16 != 0:
			return false, &foreign{l.Attrs().Name, fmt.Sprintf("%s %x:", q.Type(), a.Handle>>16)}
		}
	}
	return false, nil
}

// makeRoot puts HTB on the device, if it is not there, with the filter. Without
// classes it sends all at once.
func makeRoot(l netlink.Link, f Filter, program int) (made bool, err error) {
	ours, err := root(l)
	if err != nil {
		return false, err
	}
	if !ours {
		htb := netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: major << 16, Parent: netlink.HANDLE_ROOT})
		htb.Defcls = 0
		if err := netlink.QdiscReplace(htb); err != nil {
			return false, fmt.Errorf("put HTB on %s: %w (the kernel needs CONFIG_NET_SCH_HTB)", l.Attrs().Name, err)
		}
	}
	filter := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: major << 16, Handle: 1, Priority: 1, Protocol: unix.ETH_P_ALL},
		Fd:          program, Name: "ngfw_qos_" + string(f),
	}
	if err := netlink.FilterReplace(filter); err != nil {
		err = fmt.Errorf("filter for HTB on %s: %w (the kernel needs CONFIG_NET_CLS_BPF)", l.Attrs().Name, err)
		if !ours {
			err = errors.Join(err, dropRoot(l))
		}
		return false, err
	}
	return !ours, nil
}

// dropRoot takes our tree off; the kernel's default comes back.
func dropRoot(l netlink.Link) error {
	ours, err := root(l)
	var other *foreign
	if errors.As(err, &other) || err == nil && !ours {
		return nil
	}
	if err != nil {
		return err
	}
	if err := netlink.QdiscDel(netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: major << 16, Parent: netlink.HANDLE_ROOT})); err != nil {
		return fmt.Errorf("take HTB off %s: %w", l.Attrs().Name, err)
	}
	return nil
}

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
