package dataplane

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Where this package's other tests run, doctor must find all that is needed.
func TestFeaturesAreThere(t *testing.T) {
	needRoot(t)
	found := Kernel{}.Features()
	for name, err := range found {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"TC attachment", "packet programs", "helper bpf_probe_read_kernel"} {
		if _, ok := found[name]; !ok {
			t.Errorf("%s is not examined", name)
		}
	}
}

// Without privileges the answer is that it cannot be told, never that all is well.
func TestFeaturesWithoutPrivileges(t *testing.T) {
	needRoot(t)
	tcx, programs := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends without its capabilities
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capset(&header, &make([]unix.CapUserData, 2)[0]); err != nil {
			t.Error(err)
		}
		tcx <- haveTC()
		programs <- loadable()
	}()
	for what, err := range map[string]error{"TC attachment": <-tcx, "packet programs": <-programs} {
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
