package telemetry

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linkModeWords bounds the bitmap of link modes that the kernel appends, in 32
// bit words (the kernel has 4 now; the count is a signed byte).
const linkModeWords = 127

// ethtoolLinkSettings is struct ethtool_link_settings of linux/ethtool.h with
// the three bitmaps that follow it.
type ethtoolLinkSettings struct {
	cmd            uint32
	speed          uint32
	duplex         uint8
	_              [6]uint8 // port … eth_tp_mdix_ctrl
	linkModeNwords int8
	_              [4]uint8 // transceiver … rate_matching
	_              [7]uint32
	_              [3 * linkModeWords]uint32
}

const (
	speedUnknown = 0xffffffff
	duplexHalf   = 0
	duplexFull   = 1
)

// Settings asks the driver. What an interface has no notion of is left out.
func (n *Netlink) Settings(name string) (LinkSettings, error) {
	var s LinkSettings
	info, err := unix.IoctlGetEthtoolDrvinfo(n.ioctl, name)
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
	case err != nil:
		return s, fmt.Errorf("ask for the driver of %s: %w", name, err)
	default:
		s.Driver = unix.ByteSliceToString(info.Driver[:])
	}

	// The first request tells with a negative number how many words the
	// bitmaps have; the second, with that number, is answered.
	req := ethtoolLinkSettings{cmd: unix.ETHTOOL_GLINKSETTINGS}
	if err := n.ethtool(name, &req); err != nil {
		if errors.Is(err, unix.EOPNOTSUPP) {
			return s, nil
		}
		return s, fmt.Errorf("ask for the link settings of %s: %w", name, err)
	}
	req = ethtoolLinkSettings{cmd: unix.ETHTOOL_GLINKSETTINGS, linkModeNwords: -req.linkModeNwords}
	if req.linkModeNwords <= 0 {
		return s, fmt.Errorf("ask for the link settings of %s: the kernel answered %d words", name, -req.linkModeNwords)
	}
	if err := n.ethtool(name, &req); err != nil {
		return s, fmt.Errorf("ask for the link settings of %s: %w", name, err)
	}
	if req.speed != speedUnknown {
		s.Speed = int(req.speed)
	}
	switch req.duplex {
	case duplexHalf:
		s.Duplex = "half"
	case duplexFull:
		s.Duplex = "full"
	}
	return s, nil
}

func (n *Netlink) ethtool(name string, req *ethtoolLinkSettings) error {
	// struct ifreq: the name and a union, of which the pointer is one member.
	var ifreq struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}
	if len(name) >= unix.IFNAMSIZ {
		return unix.ENODEV
	}
	copy(ifreq.name[:], name)
	ifreq.data = unsafe.Pointer(req)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(n.ioctl), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifreq)))
	if errno != 0 {
		return errno
	}
	return nil
}
