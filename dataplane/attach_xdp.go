package dataplane

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// loadXDP reads the early program. In generic mode it takes no fragmented frames:
// Linux from 6.9 on copies every frame for a program that does (skb_pp_cow_data),
// and the copy has no mac_len, so that TC would find it without its Ethernet header
// and drop it as malformed. For others the kernel makes the frame one piece.
func (d *Dataplane) loadXDP() (*ebpf.CollectionSpec, error) {
	spec, err := bpfobj.LoadXdp()
	if err == nil && d.cfg.XDP == XDPGeneric {
		for _, p := range spec.Programs {
			p.Flags &^= unix.BPF_F_XDP_HAS_FRAGS
		}
	}
	return spec, err
}

// attachXDP is best effort: without it the same packets are dropped at TC. So
// auto does not fall back on generic mode, which comes after the kernel's work
// on a frame and adds a copy to it.
func (d *Dataplane) attachXDP(index int, port *attachedPort) {
	port.xdp = XDPOff
	delete(d.degraded, "xdp:"+port.name)
	mode, flags := XDPNative, link.XDPDriverMode
	if d.cfg.XDP == XDPGeneric {
		mode, flags = XDPGeneric, link.XDPGenericMode
	}
	if d.cfg.XDP == XDPOff || port.l3 {
		mode = XDPOff
	}
	pin := d.pins.link(index, hookXDP)
	err := leaveOtherMode(pin, index, mode)
	if err == nil && mode == XDPOff {
		return
	}
	if err == nil {
		err = d.hook(pin, d.xdp.Program, func() (link.Link, error) {
			return link.AttachXDP(link.XDPOptions{Interface: index, Program: d.xdp.Program, Flags: flags})
		})
	}
	switch {
	case err == nil:
		port.xdp = mode
		d.showTags(port.name)
	case d.cfg.XDP == XDPAuto && errors.Is(err, unix.EOPNOTSUPP):
		d.degraded["xdp:"+port.name] = "the driver has no native mode, TC does its work"
	default:
		d.degraded["xdp:"+port.name] = "not attached, TC does its work: " + err.Error()
		d.log.Warn("early filter not attached, TC filters alone", "interface", port.name, "err", err)
	}
}

// leaveOtherMode takes our program off an interface that has it in another mode
// than it is to have now: a link's mode is for its life.
func leaveOtherMode(pin string, index int, mode XDPMode) error {
	if _, err := os.Stat(pin); err != nil {
		return nil // not attached; hook says what is wrong with the place
	}
	l, err := netlink.LinkByIndex(index)
	if err != nil {
		return fmt.Errorf("ask for the mode of XDP: %w", err)
	}
	if x := l.Attrs().Xdp; x != nil {
		switch {
		case x.AttachMode == nl.XDP_ATTACHED_DRV && mode == XDPNative, x.AttachMode == nl.XDP_ATTACHED_SKB && mode == XDPGeneric:
			return nil
		}
	}
	if err := releasePin(pin); err != nil {
		return fmt.Errorf("take XDP's other mode off: %w", err)
	}
	return nil
}

// showTags has XDP see VLAN tags. The device keeps it when the programs go.
func (d *Dataplane) showTags(name string) {
	delete(d.degraded, "offload:"+name)
	changed, err := wholeFrames(name)
	if err != nil {
		d.degraded["offload:"+name] = "XDP may take tagged frames for untagged ones: " + err.Error()
		d.log.Warn("VLAN tags may be hidden from the early filter", "interface", name, "err", err)
	}
	if changed {
		d.log.Info("receive offloads of VLAN tags and LRO switched off", "interface", name)
	}
}
