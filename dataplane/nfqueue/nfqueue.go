// Package nfqueue owns one queue of packets that the kernel holds until they get
// a verdict (NFQUEUE): it takes them in bursts, asks a Handler about each, and answers
// for a whole burst at once.
//
// Every packet that is taken gets a verdict, also when the handler panics; it is then
// the one that Config.FailOpen says. Verdicts are flushed at the end of each burst,
// so a peer that waits for one packet is never kept waiting by a batch. What the
// kernel throws away, because the queue or the socket is full, is counted and does not end
// the queue.
//
// go-nfqueue binds and configures the queue and gives it up again. Its way to take
// packets costs a system call, several allocations and a verdict each; the socket is
// therefore read here, from within its callback, which returns only at the end.
//
// A Queue is run once, by one goroutine; its handler is called from there alone. Any
// number of queues may run side by side. The package knows nothing of what rules send
// packets here.
package nfqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	queue "github.com/florianl/go-nfqueue/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Config sets a queue up.
type Config struct {
	Number uint16
	// Length is how many packets the kernel holds for the queue.
	Length uint32
	// FailOpen lets packets pass that find the queue full, or the handler broken.
	FailOpen bool
	// Burst is how many packets are taken at a time.
	Burst int
	// Buffer is the socket's, in bytes.
	Buffer int
}

// DefaultConfig holds 4,096 packets and takes 64 at a time.
func DefaultConfig(number uint16) Config {
	return Config{Number: number, Length: 4096, FailOpen: true, Burst: 64, Buffer: 32 << 20}
}

// Packet is a packet that waits for its verdict. Its slices are valid until the
// handler returns.
type Packet struct {
	// Data begins with the IP header. A GSO packet may hold tens of kilobytes.
	Data []byte
	// Length is the packet's, which is more than Data when the kernel cut it.
	Length    int
	Mark      uint32
	EtherType uint16
	// In and Out are interface indexes; 0 where the packet has none.
	In, Out uint32
	// Source is the frame's, if it had one.
	Source []byte
	// Unfinished says that the kernel has not computed the checksums yet.
	Unfinished bool
	// GSO says that the packet will be cut into several.
	GSO bool

	id uint32
}

// Verdict is what becomes of a packet.
type Verdict struct {
	Drop bool
	Mark uint32 // of the packet from here on
	// Data replaces the packet, whole; nil: it stays as it is. It is copied before the
	// next packet is judged.
	Data []byte
}

// Handler judges packets.
type Handler interface {
	// Packet gives the verdict for one packet.
	Packet(p *Packet) Verdict
	// Rest is called when no packet waits any more, before the queue sleeps.
	Rest()
}

// Queue is one queue.
type Queue struct {
	cfg   Config
	log   *slog.Logger
	stat  counters
	bound atomic.Bool
}

// Name is the queue's number.
func (q *Queue) Name() string { return strconv.Itoa(int(q.cfg.Number)) }

// Bound says whether the queue is served now.
func (q *Queue) Bound() bool { return q.bound.Load() }

// counters of a queue; read at any time.
type counters struct {
	packets, dropped, bytes, bursts, batches, overruns, cut, panics, broken, refused, missed atomic.Uint64
}

// New makes a queue that is not bound yet.
func New(cfg Config, log *slog.Logger) *Queue { return &Queue{cfg: cfg, log: log} }

// Run binds the queue and serves it until ctx ends. Packets that wait then are the
// kernel's to judge: with the rule's bypass it lets later ones pass.
func (q *Queue) Run(ctx context.Context, handler Handler) error {
	flags := uint32(queue.NfQaCfgFlagGSO)
	if q.cfg.FailOpen {
		flags |= queue.NfQaCfgFlagFailOpen
	}
	nf, err := queue.Open(&queue.Config{
		NfQueue: q.cfg.Number, MaxPacketLen: maxData, MaxQueueLen: q.cfg.Length, Copymode: queue.NfQnlCopyPacket, Flags: flags,
		AfFamily: unix.AF_UNSPEC,
	})
	if err != nil {
		return fmt.Errorf("open queue %d: %w", q.cfg.Number, err)
	}
	defer nf.Close()
	raw, err := nf.Con.SyscallConn()
	if err != nil {
		return fmt.Errorf("open queue %d: %w", q.cfg.Number, err)
	}
	if err := setBuffer(raw, q.cfg.Buffer); err != nil {
		return fmt.Errorf("give queue %d a buffer of %d bytes: %w", q.cfg.Number, q.cfg.Buffer, err)
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	// The library looks at its context before it reads and then ends without a word: it gets one
	// that outlasts the serving, and its reading is ended by the deadline below.
	reading, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	ended := make(chan error, 1)
	end := func(err error) int {
		select {
		case ended <- err:
		default:
		}
		return 1
	}
	s := &server{Queue: q, ctx: serving, raw: raw, handler: handler}
	// The first packet comes by the library's way; from then on the socket is ours.
	first := func(a queue.Attribute) int {
		s.first(&a)
		return end(s.serve())
	}
	failed := func(err error) int {
		switch {
		case serving.Err() != nil:
			return end(nil)
		case errors.Is(err, unix.ENOBUFS):
			q.stat.overruns.Add(1)
			return 0
		case temporary(err):
			return 0
		}
		return end(err)
	}
	if err := nf.RegisterWithErrorFunc(reading, first, failed); err != nil {
		return fmt.Errorf("bind queue %d: %w", q.cfg.Number, err)
	}
	q.bound.Store(true)
	defer q.bound.Store(false)
	q.log.Info("queue bound", "queue", q.cfg.Number)
	select {
	case err = <-ended:
	case <-ctx.Done():
		// The deadline wakes whoever reads.
		if err := nf.Con.SetReadDeadline(time.Unix(1, 0)); err != nil {
			return fmt.Errorf("end queue %d: %w", q.cfg.Number, err)
		}
		err = <-ended
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve queue %d: %w", q.cfg.Number, err)
	}
	return ctx.Err()
}

func temporary(err error) bool {
	var op *netlink.OpError
	return errors.As(err, &op) && (op.Timeout() || op.Temporary())
}

// setBuffer makes the socket hold bursts. As root it may go beyond the system's bound.
func setBuffer(raw syscall.RawConn, size int) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		if failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size); failed != nil {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, size)
		}
	})
	return errors.Join(err, failed)
}
