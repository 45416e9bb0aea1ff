package nfqueue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	queue "github.com/florianl/go-nfqueue/v2"
	"golang.org/x/sys/unix"
)

// maxHold is how long a verdict waits for those of its burst.
const maxHold = 2 * time.Millisecond

// server is a queue that is bound.
type server struct {
	*Queue
	ctx     context.Context
	raw     syscall.RawConn
	handler Handler

	packet Packet
	batch  batch
	told   bool // of a panic

	flushed time.Time // or when the burst began
	last    uint32    // id; the kernel counts from 1
}

// serve reads bursts until the context ends.
func (s *server) serve() error {
	in := newReceiver(s.cfg.Burst)
	s.batch.number = s.cfg.Number
	each := func(kind uint16, body []byte) error {
		switch kind {
		case typePacket:
			if err := s.packet.parse(body); err != nil {
				return err
			}
			s.judge()
			// Neither does one that is slow to judge hold up those before it.
			if len(s.batch.out) >= maxSend || time.Since(s.flushed) > maxHold {
				return s.flush()
			}
		case typeError:
			// A verdict on a packet that is gone: its interface was removed, or the queue was flushed.
			s.stat.refused.Add(1)
		}
		return nil
	}
	for {
		n, err := in.receive(s.raw)
		switch {
		case s.ctx.Err() != nil:
			// What was read just now gets its verdicts.
		case errors.Is(err, unix.ENOBUFS):
			s.stat.overruns.Add(1)
			continue
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("receive: %w", err)
		}
		if n > 0 {
			s.stat.bursts.Add(1)
			s.flushed = time.Now()
		}
		for i := range n {
			if err := messages(in.message(i), each); errors.Is(err, errMessage) {
				s.stat.broken.Add(1)
			} else if err != nil {
				return err
			}
		}
		if err := s.flush(); err != nil {
			return err
		}
		if s.ctx.Err() != nil {
			return nil
		}
		if n < s.cfg.Burst {
			s.handler.Rest()
		}
	}
}

// first judges the packet that the library took.
func (s *server) first(a *queue.Attribute) {
	s.batch.number = s.cfg.Number
	s.packet = Packet{}
	if a.PacketID == nil {
		return
	}
	p := &s.packet
	p.id = *a.PacketID
	if a.Payload != nil {
		p.Data = *a.Payload
	}
	p.Length = len(p.Data)
	if a.CapLen != nil {
		p.Length = int(*a.CapLen)
	}
	for _, f := range []struct {
		from *uint32
		to   *uint32
	}{{a.Mark, &p.Mark}, {a.InDev, &p.In}, {a.OutDev, &p.Out}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if a.HwProtocol != nil {
		p.EtherType = *a.HwProtocol
	}
	if a.HwAddr != nil {
		p.Source = *a.HwAddr
	}
	if a.SkbInfo != nil && len(*a.SkbInfo) == 4 {
		info := (*a.SkbInfo)[3]
		p.Unfinished, p.GSO = info&infoUnfinished != 0, info&infoGSO != 0
	}
	s.judge()
	if err := s.flush(); err != nil {
		s.log.Error("cannot answer the queue", "queue", s.cfg.Number, "error", err)
	}
}

// judge asks the handler about the packet that was parsed.
func (s *server) judge() {
	p := &s.packet
	s.stat.packets.Add(1)
	// Copies of one packet, as of a GSO packet that was cut, have ids of their own.
	if ahead := p.id - s.last - 1; ahead != 0 && int32(ahead) > 0 {
		s.stat.missed.Add(uint64(ahead))
	}
	s.last = p.id
	s.stat.bytes.Add(uint64(p.Length))
	if p.Length > len(p.Data) {
		s.stat.cut.Add(1)
	}
	v := s.ask(p)
	if v.Drop {
		s.stat.dropped.Add(1)
	}
	s.batch.add(p, v)
}

// ask keeps a broken handler from taking the queue along.
func (s *server) ask(p *Packet) (v Verdict) {
	defer func() {
		if broken := recover(); broken != nil {
			s.stat.panics.Add(1)
			if !s.told {
				s.told = true
				s.log.Error("the handler of the queue has panicked; further ones are counted only", "queue", s.cfg.Number, "panic", broken)
			}
			v = Verdict{Drop: !s.cfg.FailOpen, Mark: p.Mark}
		}
	}()
	return s.handler.Packet(p)
}

// flush answers the kernel.
func (s *server) flush() error {
	s.flushed = time.Now()
	out, messages := s.batch.take()
	if messages == 0 {
		return nil
	}
	s.stat.batches.Add(uint64(messages))
	if err := send(s.raw, out); err != nil {
		return fmt.Errorf("send verdicts: %w", err)
	}
	return nil
}
