package dataplane

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// TCMode says how the policy's programs are on interfaces.
type TCMode string

const (
	TCAuto   TCMode = "auto"   // TCX, else clsact
	TCX      TCMode = "tcx"    // a link, since Linux 6.6
	TCClsact TCMode = "clsact" // a filter of the clsact qdisc
)

const (
	hookIngress = "ingress"
	hookEgress  = "egress"
	hookXDP     = "xdp"
)

// chooseTC settles what auto means here.
func (d *Dataplane) chooseTC() error {
	d.tcMode = d.cfg.TC
	switch d.cfg.TC {
	case TCX, TCClsact:
		return nil
	case TCAuto, "":
	default:
		return fmt.Errorf("%q is no way to attach to TC: auto, tcx, clsact", d.cfg.TC)
	}
	d.tcMode = TCX
	if err := haveTCX(); errors.Is(err, ebpf.ErrNotSupported) {
		d.tcMode = TCClsact
	} else if err != nil {
		return fmt.Errorf("ask the kernel for TCX: %w", err)
	}
	return nil
}

// attachTC puts the policy's programs on an interface, over what an earlier
// process has put there.
func (d *Dataplane) attachTC(index int) error {
	for _, at := range []struct {
		hook, name string
		program    *ebpf.Program
		tcx        ebpf.AttachType
	}{
		{hookIngress, "ngfw_ingress", d.tc.NgfwIngress, ebpf.AttachTCXIngress},
		{hookEgress, "ngfw_egress", d.tc.NgfwEgress, ebpf.AttachTCXEgress},
	} {
		pin := d.pins.link(index, at.hook)
		var err error
		if d.tcMode == TCClsact {
			err = d.hookClsact(index, pin, at.hook, at.name, at.program)
		} else {
			if err = d.releaseOther(pin, TCX); err != nil {
				return err
			}
			err = d.hook(pin, at.program, func() (link.Link, error) {
				return link.AttachTCX(link.TCXOptions{Interface: index, Program: at.program, Attach: at.tcx})
			})
		}
		if errors.Is(err, ebpf.ErrNotSupported) {
			return fmt.Errorf("attach at %s: this kernel has no TCX (Linux 6.6): %w", at.hook, err)
		}
		if err != nil {
			return fmt.Errorf("attach at %s: %w", at.hook, err)
		}
	}
	return nil
}

// hookClsact sets the filter and pins its program in the place of the one before.
func (d *Dataplane) hookClsact(index int, pin, hook, name string, program *ebpf.Program) error {
	if err := clsactAttach(index, hook, name, program); err != nil {
		return err
	}
	// What was pinned there was a link, whose program judged until now, or the
	// program that the filter has had.
	if err := unpin(pin); err != nil {
		return fmt.Errorf("replace a pin: %w", err)
	}
	own, err := program.Clone() // one program is pinned at many places
	if err != nil {
		return err
	}
	defer own.Close()
	if err := own.Pin(pin); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	return nil
}

// releaseOther gives up a hook that was made in another way than now. Until it is
// made again the backstop holds.
func (d *Dataplane) releaseOther(pin string, now TCMode) error {
	was := pinnedAs(pin)
	if was == "" || was == now {
		return nil
	}
	if err := releasePin(pin); err != nil {
		return fmt.Errorf("give up a hook by %s: %w", was, err)
	}
	return nil
}

// pinnedAs is the way of a pinned hook, "" for none.
func pinnedAs(pin string) TCMode {
	if p, err := ebpf.LoadPinnedProgram(pin, nil); err == nil {
		p.Close()
		return TCClsact
	}
	if _, err := os.Stat(pin); err != nil {
		return ""
	}
	return TCX
}

// attached says whether what is pinned for the hook still holds a program on the
// interface.
func (d *Dataplane) attached(index int, hook string) bool {
	pin := d.pins.link(index, hook)
	if p, err := ebpf.LoadPinnedProgram(pin, nil); err == nil {
		defer p.Close()
		pinned, err := programID(p)
		if err != nil {
			return false
		}
		id, err := clsactProgram(index, hook)
		return err == nil && id == pinned
	}
	l, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		return false
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return false
	}
	tcx := info.TCX()
	return tcx != nil && tcx.Ifindex == uint32(index)
}
