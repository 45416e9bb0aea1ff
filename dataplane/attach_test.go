package dataplane

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Whoever takes a program off an interface does not take it off for long.
func TestDetachedProgramsAreNoticed(t *testing.T) {
	k := newKernel(t, 16)
	k.in(func() {
		clear(k.ports)
		if err := k.AttachAll(); err != nil {
			t.Error(err)
			return
		}
		ports := len(k.ports)
		if n := k.releaseDetached(); n != 0 {
			t.Errorf("%d of %d interfaces are said to have lost a program", n, ports)
		}
		if err := os.Remove(k.Dataplane.pins.link(int(k.lan), "egress")); err != nil {
			t.Error(err)
		}
		if n := k.releaseDetached(); n != 1 || len(k.ports) != ports-1 {
			t.Errorf("one was taken off, %d noticed, %d of %d left", n, len(k.ports), ports)
		}
		// The kernel lets go of a link a little after its last holder has.
		err := k.AttachAll()
		for deadline := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(deadline); err = k.AttachAll() {
			runtime.Gosched()
		}
		if n := k.releaseDetached(); err != nil || n != 0 || len(k.ports) != ports {
			t.Errorf("attached again: %d lack a program, %d of %d left, %v", n, len(k.ports), ports, err)
		}
	})
}

// XDP sees tags: no device takes them off before it.
func TestTagsAreLeftOn(t *testing.T) {
	k := newKernel(t, 16)
	k.in(func() {
		flags := func() uint32 {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Error(err)
				return 0
			}
			defer unix.Close(fd)
			have, err := ethtool(fd, "lan", ethtoolGetFlags, 0)
			if err != nil {
				t.Error(err)
			}
			return have
		}
		if flags()&flagRxVLAN == 0 {
			t.Error("a new veth takes no tags off: nothing to test")
		}
		k.cfg.XDP = XDPAuto
		clear(k.ports)
		if err := k.AttachAll(); err != nil {
			t.Error(err)
		}
		if k.ports[int(k.lan)].xdp == XDPOff || flags()&flagRxVLAN != 0 {
			t.Errorf("xdp %q, flags %#x", k.ports[int(k.lan)].xdp, flags())
		}
		if changed, err := wholeFrames("lan"); changed || err != nil {
			t.Errorf("again: %v %v", changed, err)
		}
		if _, err := wholeFrames("nosuch"); err == nil {
			t.Error("an interface that is not there has no tags to take off")
		}
	})
}

// older makes the pins of a version before this.
func (k *kernel) older() string {
	older := filepath.Join(k.pins, "v1")
	if err := errors.Join(os.MkdirAll(filepath.Join(older, "links"), 0o700), os.MkdirAll(filepath.Join(older, "maps"), 0o700)); err != nil {
		k.t.Fatal(err)
	}
	return older
}

// What an older version has attached goes when ours comes: two would judge.
func TestOlderProgramsGo(t *testing.T) {
	if err := haveTCX(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	older := k.older()
	k.in(func() {
		l, err := link.AttachTCX(link.TCXOptions{Interface: int(k.lan), Program: k.tc.NgfwIngress, Attach: ebpf.AttachTCXIngress})
		if err != nil {
			t.Error(err)
			return
		}
		if err := errors.Join(l.Pin(filepath.Join(older, "links", "ingress")), l.Close()); err != nil {
			t.Error(err)
			return
		}
		clear(k.ports)
		// The kernel lets go of a link a little after its last holder has, and this is the
		// same program, which it does not take twice.
		err = k.AttachAll()
		for deadline := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(deadline); err = k.AttachAll() {
			runtime.Gosched()
		}
		if err != nil {
			t.Error(err)
		}
		attached := func() int {
			q, err := link.QueryPrograms(link.QueryOptions{Target: int(k.lan), Attach: ebpf.AttachTCXIngress})
			if err != nil {
				t.Error(err)
				return 0
			}
			return len(q.Programs)
		}
		for deadline := time.Now().Add(20 * time.Second); attached() != 1 && time.Now().Before(deadline); {
			runtime.Gosched()
		}
		if n := attached(); n != 1 {
			t.Errorf("%d programs look at what arrives", n)
		}
	})
	if _, err := os.Stat(older); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the older pins: %v", err)
	}
}
