package dataplane

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// nearRules is NEAR_RULES of bpf/abi/abi.h.
const nearRules = 16384

// nearRule is the place of a decider's counts among those of rules with small
// numbers.
func nearRule(decider uint32) (at uint32, ok bool) {
	at = decider - uint32(policy.NewDecider(policy.DeciderRule, 0))
	return at, at < nearRules
}

// nearCounters are the counts of rules with small numbers, as they lie in memory:
// nearRules of each CPU.
type nearCounters struct{ memory *ebpf.Memory }

var counterSize = binary.Size(bpfobj.TcCounter{})

func openNear(m *ebpf.Map) (n nearCounters, err error) {
	if n.memory, err = m.Memory(); err != nil {
		return n, fmt.Errorf("map the rule counters: %w", err)
	}
	return n, nil
}

func (n nearCounters) offset(cpu int, at uint32) int64 {
	return int64(counterSize) * (int64(cpu)*nearRules + int64(at))
}

// read fills in what each CPU has counted.
func (n nearCounters) read(at uint32, perCPU []bpfobj.TcCounter) error {
	raw := make([]byte, counterSize)
	for cpu := range perCPU {
		if _, err := n.memory.ReadAt(raw, n.offset(cpu, at)); err != nil {
			return err
		}
		if _, err := binary.Decode(raw, binary.NativeEndian, &perCPU[cpu]); err != nil {
			return err
		}
	}
	return nil
}

// clear has a rule begin at zero.
func (n nearCounters) clear(at uint32) error {
	zero := make([]byte, counterSize)
	for cpu := range ebpf.MustPossibleCPU() {
		if _, err := n.memory.WriteAt(zero, n.offset(cpu, at)); err != nil {
			return err
		}
	}
	return nil
}
