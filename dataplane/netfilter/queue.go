package netfilter

import (
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// Queues are those of the matcher: forwarded packets with the mark for it go there, both
// directions of a flow to the same one.
type Queues struct {
	First, Count uint16 // Count 0: none
	// Bypass lets packets pass while nobody serves their queue.
	Bypass bool
}

// As in bpf/abi/abi.h.
const markInspect = 0x08000000

// lacksQueue is set once the kernel has refused nft's own queue statement; the
// xtables target does the same.
var lacksQueue atomic.Bool

// queues sends what is for the matcher to it, behind the backstop.
func (b builder) queues(q Queues) {
	if q.Count == 0 {
		return
	}
	priority := *nftables.ChainPriorityFilter + 10
	chain := b.chain("inspect", nftables.ChainTypeFilter, nftables.ChainHookForward, &priority)
	b.rule(chain, mark(markInspect, markInspect), counter(), []expr.Any{q.statement()})
}

// statement is by nft's own expression where the kernel has it (since 3.14, if
// configured), else by the target of linux/netfilter/xt_NFQUEUE.h, revision 3.
func (q Queues) statement() expr.Any {
	if !lacksQueue.Load() {
		own := &expr.Queue{Num: q.First, Total: q.Count}
		if q.Bypass {
			own.Flag = expr.QueueFlagBypass
		}
		return own
	}
	const bypass = 1
	flags := uint16(0)
	if q.Bypass {
		flags = bypass
	}
	info := binary.NativeEndian.AppendUint16(nil, q.First)
	info = binary.NativeEndian.AppendUint16(info, q.Count)
	info = binary.NativeEndian.AppendUint16(info, flags)
	info = append(info, 0, 0)
	opaque := xt.Unknown(info)
	return &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &opaque}
}

// withQueues loads, and once more by the other statement where the kernel lacks the
// first.
func withQueues(q Queues, load func() error) error {
	err := load()
	if err == nil || q.Count == 0 || lacksQueue.Load() || !(errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP)) {
		return err
	}
	lacksQueue.Store(true)
	again := load()
	if again != nil {
		lacksQueue.Store(false)
		return errors.Join(err, again)
	}
	return nil
}
