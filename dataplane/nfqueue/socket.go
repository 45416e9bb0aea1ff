package nfqueue

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiver takes several messages by one system call (recvmmsg(2)).
type receiver struct {
	buffers []byte
	vectors []unix.Iovec
	headers []mmsghdr
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

func newReceiver(burst int) *receiver {
	r := &receiver{buffers: make([]byte, burst*space), vectors: make([]unix.Iovec, burst), headers: make([]mmsghdr, burst)}
	for i := range burst {
		r.vectors[i].Base = &r.buffers[i*space]
		r.vectors[i].SetLen(space)
		r.headers[i].header.Iov = &r.vectors[i]
		r.headers[i].header.SetIovlen(1)
	}
	return r
}

// receive waits for a message and takes as many as there are.
func (r *receiver) receive(raw syscall.RawConn) (n int, err error) {
	failed := raw.Read(func(fd uintptr) bool {
		got, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.headers[0])), uintptr(len(r.headers)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			n, err = int(got), nil
		case unix.EAGAIN:
			return false
		default:
			n, err = 0, errno
		}
		return true
	})
	if failed != nil {
		return 0, failed
	}
	return n, err
}

// message is the i-th of those received; it is valid until the next receive.
func (r *receiver) message(i int) []byte {
	return r.buffers[i*space : i*space+min(int(r.headers[i].length), space)]
}

// send writes a whole datagram, waiting while the socket is full.
func send(raw syscall.RawConn, b []byte) error {
	var failed error
	err := raw.Write(func(fd uintptr) bool {
		failed = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		return failed != unix.EAGAIN
	})
	if err != nil {
		return err
	}
	return failed
}
