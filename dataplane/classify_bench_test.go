package dataplane

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// As in enum mode of bpf/bench.bpf.c.
const (
	benchQuestion = iota
	benchHash
	benchJudge
)

// classifierBench is the classifier in a loop that costs no system call.
type classifierBench struct {
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

func newClassifierBench(b *testing.B) *classifierBench {
	b.Helper()
	if os.Getuid() != 0 {
		b.Skip("SKIPPED: needs root to load BPF programs")
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		b.Fatal(err)
	}
	c := &classifierBench{}
	spec, err := bpfobj.LoadBench()
	if err != nil {
		b.Fatal(err)
	}
	// ports belongs to the image's tables, but no classifier reads it.
	tc, err := bpfobj.LoadTc()
	if err != nil {
		b.Fatal(err)
	}
	spec.Maps["image_ports"] = tc.Maps["image_ports"]
	if err := spec.LoadAndAssign(&c.objects, nil); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		c.objects.Program.Close()
		for _, m := range []*ebpf.Map{c.objects.Meta, c.objects.Ports, c.objects.Pairs, c.objects.Lines, c.objects.Questions, c.objects.Hash} {
			m.Close()
		}
	})
	keys, values := make([]uint64, 100_000), make([]uint64, 100_000)
	for i := range keys {
		keys[i] = uint64(i)
	}
	if _, err := c.objects.Hash.BatchUpdate(keys, values, nil); err != nil {
		b.Fatal(err)
	}
	return c
}

// load makes im the image, and questions those that are asked: a packet in a
// random place of a random entry, which an earlier one may decide.
func (c *classifierBench) load(b *testing.B, im *policy.Image, v6 bool) {
	b.Helper()
	t := tables{c.objects.Meta, c.objects.Ports, c.objects.Pairs, c.objects.Lines, nil, nil}
	if err := t.write(0, im, nil); err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	questions := make([]bpfobj.BenchAsked, c.objects.Questions.MaxEntries())
	for i := range questions {
		p := policytest.Aim(r, &im.Entries[r.IntN(len(im.Entries))], v6, false)
		src, dst := address(netip.AddrFrom16(p.Source)), address(netip.AddrFrom16(p.Destination))
		q := &questions[i]
		q.Src.Hi, q.Src.Lo, q.Dst.Hi, q.Dst.Lo = src.Hi, src.Lo, dst.Hi, dst.Lo
		q.Port, q.Proto, q.ZoneIn, q.ZoneOut, q.Index = p.Port, p.Protocol, p.From, p.To, uint32(r.IntN(100_000))
		if v6 {
			q.V6 = 1
		}
	}
	if err := fillArray(questions)(c.objects.Questions); err != nil {
		b.Fatal(err)
	}
}

// run gives the nanoseconds of one question.
func (c *classifierBench) run(b *testing.B, mode uint32) float64 {
	b.Helper()
	bench := bpfobj.BenchBench{Mode: mode, Count: 1 << 18}
	in := make([]byte, binary.Size(bench))
	if _, err := binary.Encode(in, binary.NativeEndian, &bench); err != nil {
		b.Fatal(err)
	}
	out := make([]byte, len(in))
	if _, err := c.objects.Program.Run(&ebpf.RunOptions{Context: in, ContextOut: out}); err != nil {
		b.Fatal(err)
	}
	if _, err := binary.Decode(out, binary.NativeEndian, &bench); err != nil {
		b.Fatal(err)
	}
	if bench.Sum < uint64(bench.Count) {
		b.Fatalf("mode %d found nothing: %+v", mode, bench)
	}
	return float64(bench.Ns) / float64(bench.Count)
}

// BenchmarkClassify states the cost of the classifier alone, as a multiple of a
// hash lookup among 100,000 keys in the same run: medians of rounds in which
// both take turns, the cost of the questions subtracted.
func BenchmarkClassify(b *testing.B) {
	c := newClassifierBench(b)
	for _, v6 := range []bool{false, true} {
		for _, family := range policytest.Families {
			for _, n := range []int{10, 1_000, 10_000, 100_000} {
				name := fmt.Sprintf("%s/IPv4/rules=%d", family, n)
				if v6 {
					name = fmt.Sprintf("%s/IPv6/rules=%d", family, n)
				}
				b.Run(name, func(b *testing.B) {
					p := policytest.RuleSet(1, family, v6, n)
					start := time.Now()
					im, err := policy.Compile(p, policy.Env{})
					took := time.Since(start)
					if err != nil {
						b.Fatal(err)
					}
					c.load(b, im, v6)
					var hash, judge []float64
					for b.Loop() {
						question := c.run(b, benchQuestion)
						hash = append(hash, c.run(b, benchHash)-question)
						judge = append(judge, c.run(b, benchJudge)-question)
					}
					slices.Sort(hash)
					slices.Sort(judge)
					h, j := hash[len(hash)/2], judge[len(judge)/2]
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(h, "ns/hash")
					b.ReportMetric(j, "ns/judge")
					b.ReportMetric(j/h, "×hash")
					b.ReportMetric(float64(took.Milliseconds()), "ms/compile")
					b.ReportMetric(float64(len(im.Lines)*64)/1024, "KB")
				})
			}
		}
	}
}
