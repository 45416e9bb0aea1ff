package dataplane

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// Simulator asks the classifier that enforcement runs what would become of the
// first packet of a flow. It touches no counter, flow or ring.
type Simulator struct {
	objects struct {
		Program *ebpf.Program `ebpf:"ngfw_simulate"`
		Meta    *ebpf.Map     `ebpf:"image_meta"`
		Ports   *ebpf.Map     `ebpf:"image_ports"`
		Pairs   *ebpf.Map     `ebpf:"image_pairs"`
		Lines   *ebpf.Map     `ebpf:"image_lines"`
		NAT     *ebpf.Map     `ebpf:"image_nat"`
		NATMeta *ebpf.Map     `ebpf:"image_natmeta"`
	}
	mu sync.Mutex // the program has one work area
}

// NewSimulator makes one with an image of its own, apart from what is enforced.
func NewSimulator(im *policy.Image) (*Simulator, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("lift the locked memory limit: %w: run as root", err)
	}
	s, err := newSimulator(nil)
	if err != nil {
		return nil, err
	}
	t := tables{s.objects.Meta, s.objects.Ports, s.objects.Pairs, s.objects.Lines, s.objects.NAT, s.objects.NATMeta}
	if err := t.write(0, im, nil); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// newSimulator loads the program over tables that others fill.
func newSimulator(shared map[string]*ebpf.Map) (*Simulator, error) {
	s := &Simulator{}
	if err := loadOver(bpfobj.LoadSimulate, &s.objects, shared); err != nil {
		return nil, loadError("simulate", err)
	}
	return s, nil
}

// Close frees the program and the image, if it is the simulator's own.
func (s *Simulator) Close() error {
	for _, m := range []*ebpf.Map{s.objects.Meta, s.objects.Ports, s.objects.Pairs, s.objects.Lines, s.objects.NAT, s.objects.NATMeta} {
		m.Close()
	}
	return s.objects.Program.Close()
}

// Judge answers for the image in NewSimulator.
func (s *Simulator) Judge(p policy.ImagePacket) (policy.Verdict, error) { return s.judge(0, p) }

func (s *Simulator) judge(slot uint32, p policy.ImagePacket) (policy.Verdict, error) {
	q := bpfobj.TcQuestion{
		Src: address(netip.AddrFrom16(p.Source)), Dst: address(netip.AddrFrom16(p.Destination)),
		Port: p.Port, Sport: p.SourcePort, Proto: p.Protocol, ZoneIn: p.From, ZoneOut: p.To, Slot: slot,
		NatIn: p.PortIn, NatOut: p.PortOut, Now: uint64(p.Time),
	}
	if p.From != policy.ZoneIndexSelf { // as pose of bpf/lib/translate.h
		q.Mac = p.SourceMAC.Number()
	}
	if p.IPv6 {
		q.V6 = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := run(s.objects.Program, &q); err != nil {
		return policy.Verdict{}, err
	}
	for action, number := range actions {
		if number == q.Verdict.Action {
			return policy.Verdict{Action: action, Log: q.Verdict.Log != 0, Decider: policy.Decider(q.Verdict.Decider), NAT: translation(&q)}, nil
		}
	}
	return policy.Verdict{}, fmt.Errorf("the classifier gave no verdict: no policy is loaded")
}

func run(program *ebpf.Program, q *bpfobj.TcQuestion) error {
	in := make([]byte, binary.Size(q))
	if _, err := binary.Encode(in, binary.NativeEndian, q); err != nil {
		return err
	}
	out := make([]byte, len(in))
	rc, err := program.Run(&ebpf.RunOptions{Context: in, ContextOut: out})
	if err != nil {
		return fmt.Errorf("run the classifier: %w", err)
	}
	if rc != 0 {
		return fmt.Errorf("run the classifier: it answered %d", rc)
	}
	_, err = binary.Decode(out, binary.NativeEndian, q)
	return err
}

// Simulate asks the enforced image. No swap takes the image away under it.
func (d *Dataplane) Simulate(p policy.ImagePacket) (policy.Verdict, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.settings()
	if err != nil {
		return policy.Verdict{}, err
	}
	return d.sim.judge(activeSlot(c), p)
}
