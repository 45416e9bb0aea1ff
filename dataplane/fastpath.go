package dataplane

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// FastPath says which packets of established flows pass by the kernel's stack.
// One a second of each still goes through it, and whatever is not plain.
type FastPath string

const (
	// FastAuto redirects in XDP between ports of real devices, and in TC
	// elsewhere: frames of veth and tun may come with checksums yet to be filled
	// in, which XDP does not see.
	FastAuto FastPath = "auto"
	FastXDP  FastPath = "xdp" // in XDP wherever it attaches; the checksums are the user's word
	FastOff  FastPath = "off"
)

// As in bpf/abi/fast.h.
const (
	fastXDP = 1
	fastTC  = 2

	homesPerWord = 16

	portXDPRx = 0x200
	portXDPTx = 0x400
)

// xdpXmit is NETDEV_XDP_ACT_NDO_XMIT of linux/netdev.h.
const xdpXmit = 4

// loadCollector loads what settles the fast path's counts, and what has flows
// judged again. Without the former there is no fast path, because its packets would
// not be counted.
func (d *Dataplane) loadCollector(shared map[string]*ebpf.Map) {
	var objects struct {
		Collect *ebpf.Program `ebpf:"ngfw_collect"`
		Doubt   *ebpf.Program `ebpf:"ngfw_doubt"`
	}
	if err := loadOver(bpfobj.LoadCollect, &objects, shared); err != nil {
		d.log.Warn("no fast path", "err", loadError("collect", err))
		d.degraded["fast_path"] = "off: the kernel refused its collector"
		return
	}
	d.collect, d.doubt = objects.Collect, objects.Doubt
}

// fastForms is config.fast: XDP looks for flows only where it could send them on.
func (d *Dataplane) fastForms() uint16 {
	if !d.fast() {
		return 0
	}
	var all uint32
	for _, p := range d.ports {
		all |= p.fast
	}
	if all&portXDPRx != 0 && all&portXDPTx != 0 {
		return fastXDP | fastTC
	}
	return fastTC
}

// fast says whether there is a fast path at all.
func (d *Dataplane) fast() bool {
	return d.collect != nil && d.cfg.FastPath != FastOff && d.cfg.FastPath != ""
}

// setFastForms tells the programs what the ports allow. mu is held.
func (d *Dataplane) setFastForms() error {
	c, err := d.settings()
	if err != nil || c.Fast == d.fastForms() {
		return err
	}
	c.Fast = d.fastForms()
	return d.putSettings(c)
}

// settle adds what the fast path has counted since the last time to flows,
// deciders and statistics, and removes entries of flows that are silent.
func (d *Dataplane) settle() error {
	if d.collect == nil {
		return nil
	}
	census := make([]byte, 16)
	rc, err := d.collect.Run(&ebpf.RunOptions{Context: census})
	if err == nil && rc != 0 {
		err = fmt.Errorf("the program answered %d", rc)
	}
	if err != nil {
		return fmt.Errorf("collect the fast path's counts: %w", err)
	}
	return nil
}

// fastPort finds out what XDP can do for the fast path at a port. What it
// cannot, TC does. mu is held.
func (d *Dataplane) fastPort(l netlink.Link, p attachedPort) uint32 {
	what := "fast_path:" + p.name
	delete(d.degraded, what)
	if !d.fast() || p.l3 {
		return 0
	}
	a := l.Attrs()
	real := l.Type() == "device" && a.ParentDev != ""
	if !real && d.cfg.FastPath != FastXDP {
		return 0
	}
	if p.xdp != XDPNative {
		d.degraded[what] = "by TC: no native XDP"
		return 0
	}
	features, err := xdpFeatures(a.Index)
	switch {
	case err != nil:
		d.degraded[what] = "by TC: " + err.Error()
		return portXDPRx
	case features&xdpXmit == 0:
		d.degraded[what] = "by TC: the driver sends no redirected frames now"
		return portXDPRx
	}
	return portXDPRx | portXDPTx
}

// fastForm is how packets of the fast path arrive and leave at a port.
func (d *Dataplane) fastForm(p attachedPort) string {
	switch {
	case !d.fast() || p.l3:
		return string(FastOff)
	case p.fast&portXDPRx != 0 && p.fast&portXDPTx != 0:
		return string(FastXDP)
	}
	return "tc"
}

// xdpFeatures asks the kernel what the interface's driver can do
// (Documentation/netlink/specs/netdev.yaml).
func xdpFeatures(index int) (uint64, error) {
	const (
		deviceGet   = 1
		ifindex     = 1
		xdpFeatures = 3
	)
	family, err := netlink.GenlFamilyGet("netdev")
	if err != nil {
		return 0, errors.New("the kernel does not tell what drivers can do (Linux 6.3)")
	}
	req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
	// struct genlmsghdr; the library's own leaves its reserved bytes to chance,
	// and the kernel looks at them.
	header := []byte{deviceGet, uint8(family.Version), 0, 0}
	req.AddRawData(append(header, nl.NewRtAttr(ifindex, nl.Uint32Attr(uint32(index))).Serialize()...))
	replies, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return 0, fmt.Errorf("ask what the driver can do: %w", err)
	}
	for _, reply := range replies {
		if len(reply) < nl.SizeofGenlmsg {
			continue
		}
		attrs, err := nl.ParseRouteAttr(reply[nl.SizeofGenlmsg:])
		if err != nil {
			return 0, fmt.Errorf("ask what the driver can do: %w", err)
		}
		for _, a := range attrs {
			if a.Attr.Type == xdpFeatures && len(a.Value) >= 8 {
				return binary.NativeEndian.Uint64(a.Value), nil
			}
		}
	}
	return 0, errors.New("the driver does not tell what it can do")
}
