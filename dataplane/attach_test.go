package dataplane

import (
	"os"
	"runtime"
	"testing"
	"time"
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
