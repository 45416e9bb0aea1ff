package dataplane

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// transmit sends a frame by an interface of the namespace that it is called in.
func transmit(name string, frame []byte) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// It has our programs, too, which would not let it out.
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return err
	}
	return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Attrs().Index})
}

// judged sends a frame by an interface and says whether TC found a packet in it.
func (k *kernel) judged(by string, frame []byte) error {
	before, drops := k.stat(), k.dropped()
	if err := transmit(by, frame); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if k.stat().Packets > before.Packets {
			return nil
		}
		if why := k.droppedSince(drops); why != "" {
			return errors.New("dropped as " + why)
		}
	}
	return errors.New("not seen")
}

// attachedAs is the mode of the XDP program of an interface.
func attachedAs(index uint32) (XDPMode, error) {
	l, err := netlink.LinkByIndex(int(index))
	if err != nil {
		return "", err
	}
	switch x := l.Attrs().Xdp; {
	case x == nil || x.AttachMode == nl.XDP_ATTACHED_NONE:
		return XDPOff, nil
	case x.AttachMode == nl.XDP_ATTACHED_DRV:
		return XDPNative, nil
	case x.AttachMode == nl.XDP_ATTACHED_SKB:
		return XDPGeneric, nil
	default:
		return "", fmt.Errorf("mode %d", x.AttachMode)
	}
}

var query = packet{src: lan4, dst: rtr4, proto: layers.IPProtocolUDP, sport: 4000, dport: 53, payload: []byte("query")}

// In every mode TC finds the frames that XDP has passed whole, and a router whose
// settings change from one mode to another has the new one and no other.
func TestModeOfXDPChanges(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	try := func(set, want XDPMode) {
		k.in(func() {
			clear(k.ports) // as a process that has just begun
			if err := k.AttachAll(); err != nil {
				t.Error(err)
			}
			has, err := attachedAs(k.lan)
			if says := k.ports[int(k.lan)].xdp; err != nil || has != want || says != want {
				t.Errorf("xdp: %s: attached as %q, said to be %q, %v", set, has, says, err)
			}
			if err := k.judged("lan-peer", query.frame(t)); err != nil {
				t.Errorf("xdp: %s: a frame %v", set, err)
			}
		})
	}
	k.cfg.XDP = XDPAuto
	try(XDPAuto, XDPNative)
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	next, err := Open(Config{Pins: k.pins, XDP: XDPGeneric, MaxFlows: 16}, Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	k.Dataplane = next
	k.apply(2, "", usual)
	try(XDPGeneric, XDPGeneric)
	for _, mode := range []XDPMode{XDPNative, XDPOff} {
		k.cfg.XDP = mode
		try(mode, mode)
	}
}

// A bridge has no native mode: what its ports take up is judged by TC.
func TestFramesOfABridgeAreJudged(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.cfg.XDP = XDPAuto
	k.in(func() {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br", HardwareAddr: routerMAC}}
		lan, err := netlink.LinkByIndex(int(k.lan))
		if err := errors.Join(err, netlink.LinkAdd(bridge), netlink.LinkSetMaster(lan, bridge), netlink.LinkSetUp(bridge), k.AttachAll()); err != nil {
			t.Error(err)
		}
		if err := k.judged("lan-peer", query.frame(t)); err != nil {
			t.Errorf("a frame %v", err)
		}
	})
	if lacks := strings.Join(k.Degraded(), "\n"); !strings.Contains(lacks, "xdp:br: the driver has no native mode") {
		t.Errorf("degraded: %q", lacks)
	}
}
