package qos

import (
	"errors"
	"fmt"

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
	mirror []string // interfaces whose arrivals mirred sends there, as no program can
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
