package qos

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Queue is the discipline of a class's own queue.
type Queue string

const (
	FIFO    Queue = "bfifo"
	FQCoDel Queue = "fq_codel"
	Cake    Queue = "cake"
)

// CakeOptions are those of cake. It shapes nothing itself: HTB does.
type CakeOptions struct {
	Isolation            string // triple-isolate, dual-srchost, dual-dsthost, hosts, flows
	RTT                  uint32 // µs
	NAT, ACKFilter, Wash bool
}

// poorer is what stands in where the kernel does not have q.
func (q Queue) poorer() (Queue, bool) {
	switch q {
	case Cake:
		return FQCoDel, true
	case FQCoDel:
		return FIFO, true
	}
	return "", false
}

// unknownKind says whether the kernel does not have a discipline.
func unknownKind(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP)
}

// addQueue puts a queue below a class. rate is the class's ceiling.
func addQueue(link netlink.Link, parent, handle uint32, q Queue, o CakeOptions, rate uint64) error {
	req := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(link.Attrs().Index), Handle: handle, Parent: parent})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(string(q))))
	switch q {
	case FIFO:
		req.AddData(nl.NewRtAttr(nl.TCA_OPTIONS, word(fifoLimit(rate))))
	case FQCoDel:
		req.AddData(codelOptions(rate))
	case Cake:
		req.AddData(cakeOptions(o, rate))
	}
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("add a queue %s: %w", q, err)
	}
	return nil
}

func word(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func flag(b bool) []byte {
	if b {
		return word(1)
	}
	return word(0)
}

// fifoLimit is bytes for some 150 ms, and room for a few segments that the sender's
// kernel or ours has put together to one packet of 64 KB.
func fifoLimit(rate uint64) uint32 {
	return uint32(min(max(rate/8*150/1000, 192<<10), 64<<20))
}

// Attributes of fq_codel and cake (linux/pkt_sched.h).
const (
	codelTarget, codelInterval, codelECN = 1, 3, 4

	cakeRate, cakeDiffserv, cakeFlows, cakeRTT, cakeTarget     = 2, 3, 5, 7, 8
	cakeNAT, cakeWash, cakeACKFilter, cakeSplit, cakeOneTin    = 11, 13, 16, 17, 3
	codelTargetUsual, codelIntervalUsual, codelTargetsInterval = 5000, 100000, 20 // µs
)

// packetTime is what a packet takes at a rate, µs; of rates below a packet or so a
// second it is a second.
func packetTime(rate uint64) uint32 { return uint32(min(1514*8*1_000_000/max(rate, 1), 1_000_000)) }

// codelOptions: a target below the time of a packet and a half would drop all but
// one (RFC 8289 4.4: at least an MTU's time).
func codelOptions(rate uint64) *nl.RtAttr {
	target := max(codelTargetUsual, packetTime(rate)*3/2)
	out := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	out.AddRtAttr(codelTarget, word(target))
	out.AddRtAttr(codelInterval, word(max(codelIntervalUsual, target*4)))
	out.AddRtAttr(codelECN, word(1))
	return out
}

var cakeIsolation = map[string]uint32{"hosts": 3, "flows": 4, "dual-srchost": 5, "dual-dsthost": 6, "triple-isolate": 7}

// cakeOptions: what waits for less than four packets' time is let be, as cake does
// of its own where it knows the rate (sch_cake.c, cobalt_should_drop). Else it drops
// nearly all that waits for a slow link, and a class does not reach its share.
func cakeOptions(o CakeOptions, rate uint64) *nl.RtAttr {
	rtt := uint32(codelIntervalUsual)
	if o.RTT > 0 {
		rtt = o.RTT
	}
	target := max(rtt/codelTargetsInterval, 1, packetTime(rate)*4)
	out := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	out.AddRtAttr(cakeRate, binary.NativeEndian.AppendUint64(nil, 0)) // unlimited
	out.AddRtAttr(cakeDiffserv, word(cakeOneTin))                     // classes are HTB's
	if mode, ok := cakeIsolation[o.Isolation]; ok {
		out.AddRtAttr(cakeFlows, word(mode))
	}
	out.AddRtAttr(cakeRTT, word(max(rtt, target*2)))
	out.AddRtAttr(cakeTarget, word(target))
	out.AddRtAttr(cakeNAT, flag(o.NAT))
	out.AddRtAttr(cakeWash, flag(o.Wash))
	out.AddRtAttr(cakeACKFilter, flag(o.ACKFilter))
	out.AddRtAttr(cakeSplit, word(1))
	return out
}
