package lab

import (
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A lab that is there when somebody makes the first namespace of his own goes
// without a trace all the same.
func TestNamesBesideIPRoute(t *testing.T) {
	if unix.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to mount")
	}
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and dies with the goroutine: its mounts are its own
		failed <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return err
			}
			for _, m := range []struct {
				dir, kind string
				flags     uintptr
			}{{"/", "", unix.MS_PRIVATE | unix.MS_REC}, {"/run", "tmpfs", 0}} {
				if err := unix.Mount("none", m.dir, m.kind, m.flags, ""); err != nil {
					return err
				}
			}
			if err := makeNamespace("ours", func() error { return nil }); err != nil {
				return err
			}
			if err := exec.Command("ip", "netns", "add", "theirs").Run(); err != nil {
				return err
			}
			return removeNamespace("ours")
		}()
	}()
	if err := <-failed; err != nil {
		t.Error(err)
	}
}
