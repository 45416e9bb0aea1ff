package dataplane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// As in enum mode of bpf/bench.bpf.c.
const (
	meterQuestion = iota
	meterHash
	meterJudge
)

// Meter measures what the classifier costs, in a loop in the kernel that costs
// no system call, beside a lookup in a hash table of 100,000 keys. It attaches
// nothing. Close it.
type Meter struct {
	objects struct {
		Program   *ebpf.Program `ebpf:"ngfw_bench"`
		Meta      *ebpf.Map     `ebpf:"image_meta"`
		Ports     *ebpf.Map     `ebpf:"image_ports"`
		Pairs     *ebpf.Map     `ebpf:"image_pairs"`
		Lines     *ebpf.Map     `ebpf:"image_lines"`
		Questions *ebpf.Map     `ebpf:"questions"`
		Hash      *ebpf.Map     `ebpf:"hash"`
	}
}

// NewMeter loads the loop.
func NewMeter() (*Meter, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("lift the locked memory limit: %w: run as root", err)
	}
	m := &Meter{}
	spec, err := bpfobj.LoadBench()
	if err != nil {
		return nil, err
	}
	// ports belongs to the image's tables, but no classifier reads it.
	tc, err := bpfobj.LoadTc()
	if err != nil {
		return nil, err
	}
	spec.Maps["image_ports"] = tc.Maps["image_ports"]
	if err := spec.LoadAndAssign(&m.objects, nil); err != nil {
		return nil, loadError("bench", err)
	}
	keys, values := make([]uint64, 100_000), make([]uint64, 100_000)
	for i := range keys {
		keys[i] = uint64(i)
	}
	if _, err := m.objects.Hash.BatchUpdate(keys, values, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("fill the hash table: %w", err), m.Close())
	}
	return m, nil
}

// Close frees what NewMeter has made.
func (m *Meter) Close() error {
	o := &m.objects
	errs := []error{o.Program.Close()}
	for _, t := range []*ebpf.Map{o.Meta, o.Ports, o.Pairs, o.Lines, o.Questions, o.Hash} {
		errs = append(errs, t.Close())
	}
	return errors.Join(errs...)
}

// Load makes im the image, and what aim gives the questions about it.
func (m *Meter) Load(im *policy.Image, aim func(*rand.Rand) policy.ImagePacket, v6 bool) error {
	t := tables{m.objects.Meta, m.objects.Ports, m.objects.Pairs, m.objects.Lines, nil, nil}
	if err := t.write(0, im, nil); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(1, 2))
	questions := make([]bpfobj.BenchAsked, m.objects.Questions.MaxEntries())
	for i := range questions {
		p := aim(r)
		src, dst := address(netip.AddrFrom16(p.Source)), address(netip.AddrFrom16(p.Destination))
		q := &questions[i]
		q.Src.Hi, q.Src.Lo, q.Dst.Hi, q.Dst.Lo = src.Hi, src.Lo, dst.Hi, dst.Lo
		q.Port, q.Proto, q.ZoneIn, q.ZoneOut, q.Index = p.Port, p.Protocol, p.From, p.To, uint32(r.IntN(100_000))
		if v6 {
			q.V6 = 1
		}
	}
	return fillArray(questions)(m.objects.Questions)
}

// Run gives the nanoseconds of a hash lookup and of a judgement, the cost of
// the questions subtracted.
func (m *Meter) Run() (hash, judge float64, err error) {
	var ns [3]float64
	for mode := range ns {
		if ns[mode], err = m.run(uint32(mode)); err != nil {
			return 0, 0, err
		}
	}
	return ns[meterHash] - ns[meterQuestion], ns[meterJudge] - ns[meterQuestion], nil
}

func (m *Meter) run(mode uint32) (float64, error) {
	bench := bpfobj.BenchBench{Mode: mode, Count: 1 << 18}
	in := make([]byte, binary.Size(bench))
	if _, err := binary.Encode(in, binary.NativeEndian, &bench); err != nil {
		return 0, err
	}
	out := make([]byte, len(in))
	if _, err := m.objects.Program.Run(&ebpf.RunOptions{Context: in, ContextOut: out}); err != nil {
		return 0, fmt.Errorf("run the classifier: %w", err)
	}
	if _, err := binary.Decode(out, binary.NativeEndian, &bench); err != nil {
		return 0, err
	}
	if bench.Sum < uint64(bench.Count) {
		return 0, fmt.Errorf("mode %d found nothing: %+v", mode, bench)
	}
	return float64(bench.Ns) / float64(bench.Count), nil
}
