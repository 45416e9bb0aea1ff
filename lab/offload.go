package lab

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Commands of the SIOCETHTOOL ioctl (linux/ethtool.h) that switch one offload.
const (
	offloadTxChecksum = 0x17 // ETHTOOL_STXCSUM
	offloadGRO        = 0x2c // ETHTOOL_SGRO
)

// Segment switches whether a host's own packets leave it as segmentation offload has them: larger than
// the MTU, with checksums unfinished. Those of a new lab do not.
func (l *Lab) Segment(host string, on bool) error {
	return l.In(host, func() error { return setOffload(HostPort, offloadTxChecksum, on) })
}

// setOffload switches an offload of an interface of the current namespace.
// Switching transmit checksums off takes segmentation offload with it.
func setOffload(port string, command uint32, on bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket for ethtool: %w", err)
	}
	defer unix.Close(fd)
	value := struct{ command, data uint32 }{command: command} // struct ethtool_value
	if on {
		value.data = 1
	}
	request := struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], port)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("ethtool %s: %w", port, errno)
	}
	return nil
}
