package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ngfw.sh/lab"
)

// left lists what there is of a run on this machine.
func (r *run) left() (found []string) {
	for _, pattern := range []string{r.dir, "/run/netns/ngfw-" + r.name + "-*", "/run/ngfw-lab/" + r.name} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			r.t.Fatal(err)
		}
		found = append(found, paths...)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, r.name) || strings.Contains(line, r.dir) {
			found = append(found, "mount "+strings.TrimSpace(line))
		}
	}
	mark := []byte(owner + "=" + r.name + "\x00")
	for _, p := range lab.Processes(func(pid int) bool {
		environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		return bytes.Contains(environ, mark)
	}) {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
		found = append(found, fmt.Sprintf("process %d %s", p.PID, bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
	}
	return found
}
