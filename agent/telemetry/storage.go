package telemetry

import (
	"bytes"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Space is a file system's size in bytes. Available is what is left for
// processes without the reserve for root.
type Space struct{ Total, Free, Available uint64 }

// Used is what is taken.
func (s Space) Used() uint64 { return s.Total - min(s.Free, s.Total) }

// PercentUsed is as df shows it: of what may be used at all, rounded up.
func (s Space) PercentUsed() int32 {
	if s.Used()+s.Available == 0 {
		return 0
	}
	return int32(math.Ceil(100 * float64(s.Used()) / float64(s.Used()+s.Available)))
}

func statfs(mountPoint string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(mountPoint, &st); err != nil {
		return Space{}, err
	}
	size := uint64(st.Bsize)
	return Space{Total: st.Blocks * size, Free: st.Bfree * size, Available: st.Bavail * size}, nil
}

type mount struct{ device, point, filesystem string }

func readMounts(root fs.FS) ([]mount, error) {
	b, err := fs.ReadFile(root, "proc/self/mounts")
	if err != nil {
		return nil, err
	}
	return parseMounts(b), nil
}

// parseMounts keeps the file systems that lie on a medium of the machine: block
// devices and raw flash. What only looks like one is left out: loop devices
// (images, snaps), memory, the network, FUSE. A device mounted several times is
// listed where it was mounted first.
func parseMounts(b []byte) []mount {
	var found []mount
	seen := map[string]bool{}
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line)) // fstab(5); blanks in names are \040
		if len(f) < 3 {
			continue
		}
		m := mount{device: unescape(f[0]), point: unescape(f[1]), filesystem: f[2]}
		if !onMedium(m) || seen[m.device] {
			continue
		}
		seen[m.device] = true
		found = append(found, m)
	}
	return found
}

func onMedium(m mount) bool {
	switch m.filesystem {
	case "ubifs", "jffs2", "yaffs2", "zfs": // their devices are not under /dev
		return true
	case "devtmpfs", "tmpfs", "ramfs", "iso9660", "udf":
		return false
	}
	return strings.HasPrefix(m.device, "/dev/") && !strings.HasPrefix(m.device, "/dev/loop") &&
		!strings.HasPrefix(m.device, "/dev/ram") && !strings.HasPrefix(m.filesystem, "fuse.")
}

// unescape turns the kernel's \ooo back.
func unescape(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
