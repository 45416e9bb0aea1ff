package dataplane

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Commands of the SIOCETHTOOL ioctl and flags of linux/ethtool.h.
const (
	ethtoolGetFlags = 0x25
	ethtoolSetFlags = 0x26

	flagRxVLAN = 1 << 8
	flagLRO    = 1 << 15
)

// wholeFrames has an interface hand frames on as they were on the wire: a tag that
// the device takes off is nowhere that XDP could see, so a VLAN's frames would be
// taken for the port's own; and what it joins (LRO) is no frame that could be sent on.
// It says what was switched off.
func wholeFrames(name string) (bool, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("open a socket for ethtool: %w", err)
	}
	defer unix.Close(fd)
	have, err := ethtool(fd, name, ethtoolGetFlags, 0)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return false, nil // a device without switches takes nothing off
	}
	if err != nil {
		return false, fmt.Errorf("read the offloads of %s: %w", name, err)
	}
	want := have &^ (flagRxVLAN | flagLRO)
	if have == want {
		return false, nil
	}
	if _, err := ethtool(fd, name, ethtoolSetFlags, want); err != nil {
		return false, fmt.Errorf("switch the receive offloads of VLAN tags and LRO of %s off: %w", name, err)
	}
	return true, nil
}

func ethtool(fd int, name string, command, data uint32) (uint32, error) {
	value := struct{ command, data uint32 }{command, data} // struct ethtool_value
	request := struct {                                    // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return 0, errno
	}
	return value.data, nil
}
