package dataplane

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// runLiberal tells conntrack, until ctx ends, not to judge the sequence numbers
// of TCP connections that want the fast path: it would call the few segments
// that it still sees invalid. Only for these; the programs look after their
// ends themselves. A connection that it was not told of stays on the long way,
// and asks again. told hears how each went.
func runLiberal(ctx context.Context, asks *ebpf.Map, told func(error)) error {
	ring, err := ringbuf.NewReader(asks)
	if err != nil {
		return fmt.Errorf("open the fast path's ring: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { ring.Close() })
	defer stop()
	defer ring.Close()
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER) // no groups: a socket to keep
	if err != nil {
		return fmt.Errorf("open conntrack: %w", err)
	}
	defer socket.Close()
	c := conntrack{map[int]*nl.SocketHandle{unix.NETLINK_NETFILTER: {Socket: socket}}}
	var rec ringbuf.Record
	for {
		err := ring.ReadInto(&rec)
		if errors.Is(err, ringbuf.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the fast path's ring: %w", err)
		}
		var t bpfobj.TcTuple
		if _, err := binary.Decode(rec.RawSample, binary.NativeEndian, &t); err != nil {
			return fmt.Errorf("read the fast path's ring: %w", err)
		}
		if err := c.liberal(t); !errors.Is(err, unix.ENOENT) { // it may have ended
			told(err)
		}
	}
}

// conntrack is a kept socket to it.
type conntrack struct {
	sockets map[int]*nl.SocketHandle
}

// Attributes of linux/netfilter/nfnetlink_conntrack.h that the library lacks.
const (
	ctaTCPFlagsOriginal = 4
	ctaTCPFlagsReply    = 5

	beLiberal     = 0x08 // IP_CT_TCP_FLAG_BE_LIBERAL
	dataUnheard   = 0x10 // IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED
	maxackIsNoted = 0x20 // IP_CT_TCP_FLAG_MAXACK_SET
)

// liberal updates the flags of both directions of a connection, by its original
// tuple, and nothing else. What was acknowledged to conntrack's knowledge is no word
// on what is: half of all numbers later it would call a reset INVALID, and data that
// it has seen, but no answer to, has it forget a connection in five minutes. The
// kernel's own offload does the same (flow_offload_fixup_tcp).
func (c conntrack) liberal(t bpfobj.TcTuple) error {
	src, dst := netip.AddrFrom16(t.Saddr).Unmap(), netip.AddrFrom16(t.Daddr).Unmap()
	family, source, destination := unix.AF_INET, nl.CTA_IP_V4_SRC, nl.CTA_IP_V4_DST
	if src.Is6() {
		family, source, destination = unix.AF_INET6, nl.CTA_IP_V6_SRC, nl.CTA_IP_V6_DST
	}
	nested := func(kind int, children ...*nl.RtAttr) *nl.RtAttr {
		a := nl.NewRtAttr(kind|unix.NLA_F_NESTED, nil)
		for _, child := range children {
			a.AddChild(child)
		}
		return a
	}
	flags := []byte{beLiberal, beLiberal | dataUnheard | maxackIsNoted} // struct nf_ct_tcp_flags: value, mask
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_NEW, unix.NLM_F_ACK)
	req.Sockets = c.sockets
	req.AddData(&nl.Nfgenmsg{NfgenFamily: uint8(family), Version: nl.NFNETLINK_V0})
	req.AddData(nested(nl.CTA_TUPLE_ORIG,
		nested(nl.CTA_TUPLE_IP,
			nl.NewRtAttr(source, src.AsSlice()),
			nl.NewRtAttr(destination, dst.AsSlice())),
		nested(nl.CTA_TUPLE_PROTO,
			nl.NewRtAttr(nl.CTA_PROTO_NUM, []byte{t.Proto}),
			nl.NewRtAttr(nl.CTA_PROTO_SRC_PORT, nl.Uint16Attr(t.Sport)), // in network order as they are
			nl.NewRtAttr(nl.CTA_PROTO_DST_PORT, nl.Uint16Attr(t.Dport)))))
	req.AddData(nested(nl.CTA_PROTOINFO, nested(nl.CTA_PROTOINFO_TCP,
		nl.NewRtAttr(ctaTCPFlagsOriginal, flags), nl.NewRtAttr(ctaTCPFlagsReply, flags))))
	if _, err := req.Execute(unix.NETLINK_NETFILTER, 0); err != nil {
		return fmt.Errorf("make conntrack liberal with a connection: %w", err)
	}
	return nil
}

// followAsks is runLiberal beside Run, until stop. It does not end Run: TCP goes
// the long way then.
func (d *Dataplane) followAsks(ctx context.Context) (stop func()) {
	if !d.fast() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	const what = "fast_path:tcp"
	told := func(err error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		switch was := d.degraded[what]; {
		case err == nil:
			delete(d.degraded, what)
		case was == "":
			d.log.Error("new TCP connections stay off the fast path", "err", err)
			d.degraded[what] = "off: " + err.Error()
		}
	}
	go func() {
		defer close(done)
		if err := runLiberal(ctx, d.tc.FastAsks, told); err != nil {
			told(err)
		}
	}()
	return func() { cancel(); <-done }
}
