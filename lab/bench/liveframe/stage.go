package liveframe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"ngfw.sh/lab"
	"ngfw.sh/lab/bench/liveframe/internal/trafficobj"
)

// Traffic is a kind of established packets through the router.
type Traffic struct {
	V6, TCP bool
	In      bool // from inet to lan1: the direction of answers

	// Shuffled packets come in no order of their flows, as on a line. Otherwise
	// they come in that in which the flows began, in which whoever allocates
	// memory flow by flow finds it again, too.
	Shuffled bool
}

func (t Traffic) String() string {
	name := "IPv4"
	if t.V6 {
		name = "IPv6"
	}
	proto, way := "UDP", "out"
	if t.TCP {
		proto = "TCP"
	}
	if t.In {
		way = "in"
	}
	if t.Shuffled {
		way += ", shuffled"
	}
	return name + " " + proto + " " + way
}

// stride is from the flow of one frame to that of the next: far beyond what a
// processor foresees, and every flow has its turn.
func (t Traffic) stride(flows int) uint32 {
	if !t.Shuffled || flows < 3 {
		return 1
	}
	n := flows*7/17 | 1
	for a, b := n, flows; ; a, b = n, flows {
		for b != 0 {
			a, b = b, a%b
		}
		if a == 1 {
			return uint32(n)
		}
		n += 2
	}
}

// Bytes of a frame.
func (t Traffic) Bytes() int {
	switch {
	case t.V6 && t.TCP:
		return 78
	case t.V6:
		return 66
	}
	return 64
}

// As in bpf/traffic.bpf.c.
const (
	kindV6      = 1
	kindTCP     = 2
	kindReverse = 4
	kindSpread  = 8

	tcpSYN, tcpACK = 0x02, 0x10
)

func (t Traffic) kind() (k uint32) {
	if t.V6 {
		k |= kindV6
	}
	if t.TCP {
		k |= kindTCP
	}
	if t.In {
		k |= kindReverse
	}
	return k
}

// from and to are the hosts at the ends.
func (t Traffic) from() string {
	if t.In {
		return lab.INET
	}
	return lab.LAN1
}

func (t Traffic) to() string {
	if t.In {
		return lab.LAN1
	}
	return lab.INET
}

// stage is a lab with the traffic's programs.
type stage struct {
	*lab.Lab
	objects trafficobj.TrafficObjects
	closed  []func() error
	rounds  int // in which an established flow is measured
}

// newStage makes a lab whose router is plain, or closed until something opens it.
func newStage(ctx context.Context, name string, forward bool) (s *stage, err error) {
	l, err := lab.Up(ctx, lab.Config{Name: name, Forward: forward, Owner: lab.Self()})
	if err != nil {
		return nil, err
	}
	s = &stage{Lab: l}
	s.closed = append(s.closed, func() error { return lab.Down(context.WithoutCancel(ctx), name) })
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := trafficobj.LoadTrafficObjects(&s.objects, nil); err != nil {
		return s, fmt.Errorf("load the traffic: %w", err)
	}
	s.closed = append(s.closed, s.objects.Close)
	return s, l.In(lab.RTR, func() error { return errors.Join(settle(), settle6()) })
}

func (s *stage) close() error {
	var errs []error
	for i := len(s.closed) - 1; i >= 0; i-- {
		errs = append(errs, s.closed[i]())
	}
	s.closed = nil
	return errors.Join(errs...)
}

// settle6 is settle for IPv6: neighbours that do not come and go.
func settle6() error {
	for _, host := range []string{lab.LAN1, lab.INET} {
		seg, _ := lab.SegmentOf(host)
		link, err := netlink.LinkByName(seg.RouterPort)
		if err != nil {
			return err
		}
		for _, a := range []netip.Addr{seg.Host6.Addr(), seg.Host6.Addr().Next()} {
			if err := netlink.NeighSet(&netlink.Neigh{
				LinkIndex: link.Attrs().Index, IP: net.IP(a.AsSlice()), HardwareAddr: seg.HostMAC, State: netlink.NUD_PERMANENT,
			}); err != nil {
				return fmt.Errorf("set a neighbour of %s: %w", seg.RouterPort, err)
			}
		}
	}
	return nil
}

// frame is that of flow 0, with zeros where flows differ and for checksums.
func (s *stage) frame(t Traffic, flags byte, spread bool) []byte {
	at, _ := lab.SegmentOf(t.from())
	f := make([]byte, t.Bytes())
	copy(f, at.RouterMAC)
	copy(f[6:], at.HostMAC)
	proto := byte(17)
	if t.TCP {
		proto = 6
	}
	l4 := 34
	if t.V6 {
		l4 = 54
		binary.BigEndian.PutUint16(f[12:], 0x86dd)
		f[14], f[20], f[21] = 0x60, proto, firstTTL
		binary.BigEndian.PutUint16(f[18:], uint16(len(f)-l4))
		src, dst := lab.IP6(lab.LAN1).As16(), lab.IP6(lab.INET).As16()
		if t.In {
			src, dst = dst, src
		}
		if !spread {
			copy(f[22:], src[:])
		}
		copy(f[38:], dst[:])
	} else {
		binary.BigEndian.PutUint16(f[12:], 0x0800)
		f[14], f[20], f[22], f[23] = 0x45, 0x40, firstTTL, proto
		binary.BigEndian.PutUint16(f[16:], uint16(len(f)-14))
		src, dst := lab.IP4(lab.LAN1).As4(), lab.IP4(lab.INET).As4()
		if t.In {
			wan, _ := lab.SegmentOf(lab.INET)
			src, dst = dst, wan.Router4.Addr().As4()
		}
		if !spread {
			copy(f[26:], src[:])
		}
		copy(f[30:], dst[:])
	}
	if !t.TCP {
		binary.BigEndian.PutUint16(f[l4+4:], uint16(len(f)-l4))
		return f
	}
	// The client begins with 4000, the server with 7000 (the mirror's).
	seq, ack := uint32(4001), uint32(7001)
	if flags&tcpSYN != 0 {
		seq, ack = 4000, 0
	}
	if t.In {
		seq, ack = 7001, 4001
	}
	binary.BigEndian.PutUint32(f[l4+4:], seq)
	binary.BigEndian.PutUint32(f[l4+8:], ack)
	f[l4+12], f[l4+13] = 5<<4, flags
	binary.BigEndian.PutUint16(f[l4+14:], 60000)
	return f
}

// generate sends frames and returns their nanoseconds.
func (s *stage) generate(t Traffic, flags byte, flows, frames int, spread bool) (float64, error) {
	f := s.frame(t, flags, spread)
	index, err := portIndex(s.Lab, t.from(), lab.HostPort)
	if err != nil {
		return 0, err
	}
	p := trafficobj.TrafficPlan{Flows: uint32(flows), Stride: t.stride(flows), Port: uint32(index), Kind: t.kind()}
	if spread {
		p.Kind |= kindSpread
	}
	copy(p.Frame[:], f)
	l4, addresses := 34, 26
	if t.V6 {
		l4, addresses = 54, 22
	} else {
		p.IpSum = uint32(sum(f[14:34]))
	}
	var pseudo [4]byte
	pseudo[1] = 17
	if t.TCP {
		pseudo[1] = 6
	}
	binary.BigEndian.PutUint16(pseudo[2:], uint16(len(f)-l4))
	p.L4Sum = uint32(sum(f[addresses:]) + sum(pseudo[:]))
	if err := s.objects.Plans.Put(uint32(0), &p); err != nil {
		return 0, fmt.Errorf("set the generator: %w", err)
	}
	return liveFrames(s.Lab, t.from(), s.objects.TrafficGenerate, f, frames)
}

// expect empties the sink's counts and says how frames shall arrive.
func (s *stage) expect(e trafficobj.TrafficExpected) error {
	return errors.Join(
		s.objects.Expectations.Put(uint32(0), &e),
		s.objects.Arrivals.Put(uint32(0), &trafficobj.TrafficArrived{}))
}

func (s *stage) arrived() (a trafficobj.TrafficArrived, err error) {
	err = s.objects.Arrivals.Lookup(uint32(0), &a)
	return a, err
}

// least is the fastest of the stage's rounds, which send so many frames together.
func (s *stage) least(frames int, run func(frames int) (float64, error)) (least float64, err error) {
	n := frames / max(s.rounds, 1)
	for range max(s.rounds, 1) {
		ns, err := s.lossless(n, func() (float64, error) { return run(n) })
		if err != nil {
			return 0, err
		}
		if least == 0 || ns < least {
			least = ns
		}
	}
	return least, nil
}

// during is the mean of as many rounds, of so many frames, as take so long.
func (s *stage) during(least time.Duration, frames int, run func(frames int) (float64, error)) (float64, error) {
	sum, rounds := 0.0, 0.0
	for began := time.Now(); rounds == 0 || time.Since(began) < least; rounds++ {
		ns, err := s.lossless(frames, func() (float64, error) { return run(frames) })
		if err != nil {
			return 0, err
		}
		sum += ns
	}
	return sum / rounds, nil
}

// lossless runs a measurement until it has lost no frame, some times at most.
func (s *stage) lossless(frames int, run func() (float64, error)) (float64, error) {
	const patience = 4
	var worst error
	for range patience {
		before, err := s.arrived()
		if err != nil {
			return 0, err
		}
		ns, err := run()
		if err != nil {
			return 0, err
		}
		after, err := s.arrived()
		if err != nil {
			return 0, err
		}
		came, good := after.All-before.All, after.Good-before.Good
		if came != good {
			return 0, fmt.Errorf("%w: %d of %d", errWrong, came-good, came)
		}
		if loss := 1 - float64(came)/float64(frames); loss <= tolerance {
			return ns, nil
		} else {
			worst = fmt.Errorf("%w: %.1f %%", errLoss, 100*loss)
		}
	}
	return 0, worst
}

// overheadFrames are enough to know what generator and sink cost.
const overheadFrames = 300_000

// alone is what generator and sink cost, the sink in the router's port: the
// least of some rounds.
func (s *stage) alone(t Traffic, flows int, spread bool) (float64, error) {
	seg, _ := lab.SegmentOf(t.from())
	undo, err := attach(s.Lab, lab.RTR, seg.RouterPort, s.objects.TrafficSink)
	if err != nil {
		return 0, err
	}
	defer undo()
	e := trafficobj.TrafficExpected{Ttl: firstTTL, Kind: t.kind(), Flows: uint32(flows)}
	if spread {
		e.Kind |= kindSpread
	}
	if err := s.expect(e); err != nil {
		return 0, err
	}
	best := 0.0
	for range 3 {
		ns, err := s.lossless(overheadFrames, func() (float64, error) { return s.generate(t, tcpACK, flows, overheadFrames, spread) })
		if err != nil {
			return 0, fmt.Errorf("generator and sink alone, %v: %w", t, err)
		}
		if best == 0 || ns < best {
			best = ns
		}
	}
	return best, nil
}

func stageName(n int) string { return fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), n) }

// sweep removes what a killed benchmark left: it would disturb this one.
func sweep(ctx context.Context) error {
	return lab.Sweep(ctx, func(name string) bool { return strings.HasPrefix(name, prefix) })
}
