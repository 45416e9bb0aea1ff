package qos

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// An uplink without Ethernet headers (PPP, tunnels) cannot be redirected by a packet
// program, which insists on such a header (__bpf_redirect_common). And before Linux 6.3
// an ifb drops what a program redirects ("bpf: Set skb redirect and from_ingress info
// in __bpf_tx_skb"). There mirred does it, with all that arrives.

// redirects says whether the kernel's ifb takes what a program redirects.
func redirects() bool {
	var u unix.Utsname
	var major, minor int
	if err := unix.Uname(&u); err != nil {
		return false
	}
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 6 || major == 6 && minor >= 3
}

// divertPriority marks our filter.
const divertPriority = major

// diverted says where an interface's arrivals go by our filter; 0: nowhere.
func diverted(l netlink.Link) (ifb int, err error) {
	filters, err := netlink.FilterList(l, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		return 0, fmt.Errorf("list the ingress filters of %s: %w", l.Attrs().Name, err)
	}
	for _, f := range filters {
		u32, ok := f.(*netlink.U32)
		if !ok || u32.Priority != divertPriority {
			continue
		}
		for _, a := range u32.Actions {
			if m, ok := a.(*netlink.MirredAction); ok {
				return m.Ifindex, nil
			}
		}
	}
	return 0, nil
}

// divert sends all that arrives at an interface through an ifb.
func divert(l netlink.Link, ifb int) error {
	to, err := diverted(l)
	if err == nil && to == ifb {
		return nil
	}
	if to != 0 {
		if err := undivert(l); err != nil {
			return err
		}
	}
	clsact := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
	if err := netlink.QdiscAdd(clsact); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("prepare %s: %w (the kernel needs CONFIG_NET_SCH_INGRESS)", l.Attrs().Name, err)
	}
	if err := netlink.FilterAdd(&netlink.U32{FilterAttrs: ours(l), Actions: []netlink.Action{netlink.NewMirredAction(ifb)}}); err != nil {
		err = fmt.Errorf("send what arrives at %s through an ifb: %w (the kernel needs CONFIG_NET_CLS_U32 and CONFIG_NET_ACT_MIRRED)", l.Attrs().Name, err)
		return errors.Join(err, undivert(l))
	}
	return nil
}

// divert has mirred send what arrives at the stage's interfaces to its ifb.
func (s stage) divert() error {
	if len(s.mirror) == 0 {
		return nil
	}
	ifb, err := netlink.LinkByName(s.device)
	if err != nil {
		return fmt.Errorf("find %s: %w", s.device, err)
	}
	var errs []error
	for _, name := range s.mirror {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = divert(l, ifb.Attrs().Index)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func ours(l netlink.Link) netlink.FilterAttrs {
	return netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: netlink.HANDLE_MIN_INGRESS, Priority: divertPriority, Protocol: unix.ETH_P_ALL}
}

// undivert takes our filter away, and what holds filters if no other is there.
func undivert(l netlink.Link) error {
	to, err := diverted(l)
	if err != nil {
		return err
	}
	if to == 0 {
		return nil
	}
	if err := netlink.FilterDel(&netlink.U32{FilterAttrs: ours(l)}); err != nil {
		return fmt.Errorf("stop sending what arrives at %s through an ifb: %w", l.Attrs().Name, err)
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		if left, err := netlink.FilterList(l, parent); err != nil || len(left) > 0 {
			return err
		}
	}
	clsact := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
	if err := netlink.QdiscDel(clsact); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("tidy %s: %w", l.Attrs().Name, err)
	}
	return nil
}
