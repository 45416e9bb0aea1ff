package qos

import (
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// leaf is what the kernel says of a class's own queue. HTB counts only what did not
// get in; what a queue gives up later, and what it marks, is in the queue's own words.
type leaf struct {
	kind            Queue
	dropped, marked uint64 // packets
}

// leaves are those of an interface, by their classes' handles.
func leaves(l netlink.Link) (map[uint32]leaf, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETQDISC, unix.NLM_F_DUMP)
	req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(l.Attrs().Index)})
	answers, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWQDISC)
	if err != nil {
		return nil, fmt.Errorf("list the queues of %s: %w", l.Attrs().Name, err)
	}
	out := map[uint32]leaf{}
	for _, m := range answers {
		head := nl.DeserializeTcMsg(m)
		if int(head.Ifindex) != l.Attrs().Index { // the kernel may tell of all
			continue
		}
		out[head.Parent] = readLeaf(m[head.Len():])
	}
	return out, nil
}

// Attributes of statistics (linux/gen_stats.h and pkt_sched.h).
const (
	tcaStats2, statsQueue, statsApp = 7, 3, 4

	queueDrops     = 2 // struct gnet_stats_queue: qlen, backlog, drops, …
	codelMarked    = 3 // struct tc_fq_codel_xstats: type, maxpacket, drop_overlimit, ecn_mark, …
	cakeTins       = 10
	cakeTinsMarked = 8
)

func readLeaf(attributes []byte) (l leaf) {
	each(attributes, func(kind uint16, value []byte) {
		switch kind {
		case nl.TCA_KIND:
			l.kind = Queue(nl.BytesToString(value))
		case tcaStats2: // behind the kind (tc_fill_qdisc)
			each(value, func(kind uint16, value []byte) {
				switch {
				case kind == statsQueue:
					l.dropped = wordAt(value, queueDrops)
				case kind == statsApp && l.kind == FQCoDel:
					l.marked = wordAt(value, codelMarked)
				case kind == statsApp && l.kind == Cake:
					l.marked = cakeMarks(value)
				}
			})
		}
	})
	return l
}

// cakeMarks sums over cake's tins.
func cakeMarks(stats []byte) (marked uint64) {
	each(stats, func(kind uint16, tins []byte) {
		if kind != cakeTins {
			return
		}
		each(tins, func(_ uint16, tin []byte) {
			each(tin, func(kind uint16, value []byte) {
				if kind == cakeTinsMarked {
					marked += wordAt(value, 0)
				}
			})
		})
	})
	return marked
}

// each walks attributes; what is cut is left out.
func each(attributes []byte, f func(kind uint16, value []byte)) {
	for len(attributes) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(attributes))
		if length < unix.SizeofRtAttr || length > len(attributes) {
			return
		}
		f(binary.NativeEndian.Uint16(attributes[2:])&nl.NLA_TYPE_MASK, attributes[unix.SizeofRtAttr:length])
		attributes = attributes[min((length+3)&^3, len(attributes)):]
	}
}

// wordAt is the nth 32-bit number of a structure; 0 where it is shorter.
func wordAt(b []byte, n int) uint64 {
	if len(b) < 4*(n+1) {
		return 0
	}
	return uint64(binary.NativeEndian.Uint32(b[4*n:]))
}
