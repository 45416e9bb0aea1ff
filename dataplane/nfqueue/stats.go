package nfqueue

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Stats is what a queue has done since it was made.
type Stats struct {
	Packets  uint64 // that were taken
	Bytes    uint64
	Dropped  uint64 // by verdict
	Bursts   uint64
	Verdicts uint64 // messages: fewer than packets, where neighbours share one
	Overruns uint64 // times that the socket was full; the kernel counts the packets
	Cut      uint64 // packets longer than the kernel copies
	Panics   uint64 // of the handler
	Broken   uint64 // messages that could not be read
	Refused  uint64 // verdicts on packets that were gone
	// Missed packets had their number, and no room in the socket: they passed where the queue
	// fails open, and else were dropped. The kernel counts the latter alone.
	Missed uint64

	// Of the kernel, for the whole of the queue's life.
	Waiting       uint64
	QueueDropped  uint64 // the queue was full
	SocketDropped uint64 // the socket was
}

// Stats reads the counters.
func (q *Queue) Stats() Stats {
	c := &q.stat
	s := Stats{
		Packets: c.packets.Load(), Bytes: c.bytes.Load(), Dropped: c.dropped.Load(), Bursts: c.bursts.Load(), Verdicts: c.batches.Load(),
		Overruns: c.overruns.Load(), Cut: c.cut.Load(), Panics: c.panics.Load(), Broken: c.broken.Load(), Refused: c.refused.Load(), Missed: c.missed.Load(),
	}
	// The file is that of the calling thread's network namespace.
	text, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if err != nil {
		return s
	}
	for line := range strings.Lines(string(text)) {
		if k, ok := kernelStats(line, q.cfg.Number); ok {
			s.Waiting, s.QueueDropped, s.SocketDropped = k[0], k[1], k[2]
		}
	}
	return s
}

// kernelStats reads a line of the kernel's table: number, port, waiting, copy mode, copy
// range, dropped by the queue, by the socket, last id, 1.
func kernelStats(line string, number uint16) (out [3]uint64, ok bool) {
	f := strings.Fields(line)
	if len(f) < 7 || f[0] != fmt.Sprint(number) {
		return out, false
	}
	for i, at := range []int{2, 5, 6} {
		n, err := strconv.ParseUint(f[at], 10, 64)
		if err != nil {
			return out, false
		}
		out[i] = n
	}
	return out, true
}
