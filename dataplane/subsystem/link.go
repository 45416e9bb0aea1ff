package subsystem

import (
	"errors"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The namespace's one interface of its own.
const loopback = 1

var root = netlink.QdiscAttrs{LinkIndex: loopback, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}

// discipline asks for a queueing discipline as an interface's root.
func discipline(kind string) func() error {
	return func() error { return with(&netlink.GenericQdisc{QdiscAttrs: root, QdiscType: kind}, nil) }
}

// htb wants options.
func htb() error { return with(netlink.NewHtb(root), nil) }

// with makes a discipline, has it used, and removes it.
func with(q netlink.Qdisc, use func() error) error {
	if err := netlink.QdiscAdd(q); err != nil {
		return err
	}
	if use == nil {
		use = func() error { return nil }
	}
	return errors.Join(use(), netlink.QdiscDel(q))
}

func clsactAttrs() netlink.QdiscAttrs {
	return netlink.QdiscAttrs{LinkIndex: loopback, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}
}

func clsact() error { return with(&netlink.Clsact{QdiscAttrs: clsactAttrs()}, nil) }

// arrivals are what a filter needs beside itself: the hook of clsact.
func arrivals(f netlink.Filter) error {
	err := with(&netlink.Clsact{QdiscAttrs: clsactAttrs()}, func() error { return netlink.FilterAdd(f) })
	return err
}

func attrs() netlink.FilterAttrs {
	return netlink.FilterAttrs{LinkIndex: loopback, Parent: netlink.HANDLE_MIN_INGRESS, Handle: 1, Priority: 1, Protocol: unix.ETH_P_ALL}
}

func bpfFilter() error {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
	if err != nil {
		return err
	}
	defer p.Close()
	return arrivals(&netlink.BpfFilter{FilterAttrs: attrs(), Fd: p.FD(), Name: "probe", DirectAction: true})
}

func mirred() error {
	a := attrs()
	a.Handle = 0
	return arrivals(&netlink.U32{FilterAttrs: a, Actions: []netlink.Action{netlink.NewMirredAction(loopback)}})
}

// device asks for a kind of interface.
func device(of func(netlink.LinkAttrs) netlink.Link) func() error {
	return func() error {
		a := netlink.NewLinkAttrs()
		a.Name = "probe"
		l := of(a)
		if err := netlink.LinkAdd(l); err != nil {
			return err
		}
		return netlink.LinkDel(l)
	}
}

// vlan is over a pair of veth, since the loopback takes no tags; where the kernel has
// no veth it cannot be told.
func vlan() error {
	a := netlink.NewLinkAttrs()
	a.Name = "below"
	below := &netlink.Veth{LinkAttrs: a, PeerName: "below-peer"}
	if err := netlink.LinkAdd(below); err != nil {
		return errors.New("no interface to tag: " + err.Error())
	}
	l, err := netlink.LinkByName("below")
	if err != nil {
		return err
	}
	ask := device(func(a netlink.LinkAttrs) netlink.Link {
		a.ParentIndex = l.Attrs().Index
		return &netlink.Vlan{LinkAttrs: a, VlanId: 7, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}
	})
	return errors.Join(ask(), netlink.LinkDel(l))
}
