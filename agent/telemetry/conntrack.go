package telemetry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Constants of linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h.
const (
	nfnlSubsysCtnetlink = 1
	ipctnlMsgCtGet      = 1
	ctaTupleOrig        = 1
	ctaTupleProto       = 2
	ctaProtoNum         = 1
	nfgenmsgLen         = 4
	attributeType       = 0x3fff // NLA_TYPE_MASK
)

// conntrackSocket walks the connection table. It counts in the kernel's own
// messages and keeps nothing: decoding a table of 100,000 entries into
// structures takes more memory than the agent may use.
type conntrackSocket struct {
	fd  int
	mu  sync.Mutex // one walk at a time
	seq uint32
	buf []byte
}

func openConntrack() (*conntrackSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open netfilter netlink: %w", err)
	}
	s := &conntrackSocket{fd: fd, buf: make([]byte, 32<<10)} // the kernel fills at most 32 KiB a message
	limit := unix.NsecToTimeval(int64(5 * time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		s.close()
		return nil, fmt.Errorf("bound the netfilter netlink: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		s.close()
		return nil, fmt.Errorf("bind netfilter netlink: %w", err)
	}
	return s, nil
}

func (s *conntrackSocket) close() { unix.Close(s.fd) }

// Protocols walks the connection table of the namespace.
func (n *Netlink) Protocols(ctx context.Context) (Protocols, error) { return n.tables.protocols(ctx) }

func (s *conntrackSocket) protocols(ctx context.Context) (Protocols, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	req := make([]byte, unix.NLMSG_HDRLEN+nfgenmsgLen) // family 0: both
	binary.NativeEndian.PutUint32(req[0:], uint32(len(req)))
	binary.NativeEndian.PutUint16(req[4:], nfnlSubsysCtnetlink<<8|ipctnlMsgCtGet)
	binary.NativeEndian.PutUint16(req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	binary.NativeEndian.PutUint32(req[8:], s.seq)
	if err := unix.Sendto(s.fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return Protocols{}, fmt.Errorf("ask for the connection table: %w", err)
	}
	var p Protocols
	for {
		// A walk given up midway leaves messages behind; the next one reads past
		// them by their sequence number.
		if err := ctx.Err(); err != nil {
			return Protocols{}, err
		}
		n, _, err := unix.Recvfrom(s.fd, s.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return Protocols{}, fmt.Errorf("read the connection table: %w", err)
		}
		done, err := p.count(s.buf[:n], s.seq)
		if err != nil {
			return Protocols{}, fmt.Errorf("read the connection table: %w", err)
		}
		if done {
			return p, nil
		}
	}
}

// count adds the entries in a datagram of netlink messages; done after the last
// message of the dump.
func (p *Protocols) count(b []byte, seq uint32) (done bool, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		length := int(binary.NativeEndian.Uint32(b))
		if length < unix.NLMSG_HDRLEN || length > len(b) {
			return false, fmt.Errorf("a message of %d bytes in %d", length, len(b))
		}
		body := b[unix.NLMSG_HDRLEN:length]
		if binary.NativeEndian.Uint32(b[8:]) == seq {
			switch binary.NativeEndian.Uint16(b[4:]) {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR: // both carry a negative errno or 0
				if len(body) < 4 {
					return false, errors.New("a cut end of the dump")
				}
				if errno := -int32(binary.NativeEndian.Uint32(body)); errno != 0 {
					return false, unix.Errno(errno)
				}
				return true, nil
			case nfnlSubsysCtnetlink << 8: // IPCTNL_MSG_CT_NEW: an entry
				p.add(body)
			}
		}
		b = b[min(len(b), (length+3)&^3):]
	}
	return false, nil
}

func (p *Protocols) add(body []byte) {
	if len(body) < nfgenmsgLen {
		return
	}
	number := attribute(attribute(attribute(body[nfgenmsgLen:], ctaTupleOrig), ctaTupleProto), ctaProtoNum)
	switch {
	case len(number) < 1:
	case number[0] == unix.IPPROTO_TCP:
		p.TCP++
	case number[0] == unix.IPPROTO_UDP:
		p.UDP++
	default:
		p.Other++
	}
}

// attribute finds the first attribute of a type, nil without one.
func attribute(b []byte, kind uint16) []byte {
	for len(b) >= unix.SizeofNlAttr {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofNlAttr || length > len(b) {
			return nil
		}
		if binary.NativeEndian.Uint16(b[2:])&attributeType == kind {
			return b[unix.SizeofNlAttr:length]
		}
		b = b[min(len(b), (length+3)&^3):]
	}
	return nil
}
