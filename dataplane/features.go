package dataplane

import (
	"errors"
	"fmt"
	"math"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/dataplane/subsystem"
)

// Kernel is the running kernel, asked for what the packet programs need.
type Kernel struct{}

// Features tells of each thing that is needed whether it is there: nil, else
// why not. All are required. Asking loads small programs and maps that are gone
// with the answer, and attaches nothing; without privileges the answers are
// os.ErrPermission.
func (Kernel) Features() map[string]error {
	return map[string]error{
		"XDP programs":                 features.HaveProgramType(ebpf.XDP),
		"TC programs":                  features.HaveProgramType(ebpf.SchedCLS),
		"system call programs":         features.HaveProgramType(ebpf.Syscall),
		"TC attachment":                haveTC(),
		"maps of maps":                 features.HaveMapType(ebpf.ArrayOfMaps),
		"ring buffers":                 features.HaveMapType(ebpf.RingBuf),
		"LRU maps":                     features.HaveMapType(ebpf.LRUHash),
		"helper bpf_loop":              features.HaveProgramHelper(ebpf.SchedCLS, asm.FnLoop),
		"helper bpf_fib_lookup":        features.HaveProgramHelper(ebpf.SchedCLS, asm.FnFibLookup),
		"helper bpf_ktime_get_boot_ns": features.HaveProgramHelper(ebpf.SchedCLS, asm.FnKtimeGetBootNs),
		"helper bpf_probe_read_kernel": features.HaveProgramHelper(ebpf.SchedCLS, asm.FnProbeReadKernel),
		"packet programs":              loadable(),
	}
}

// Subsystems tells of the kernel's parts beside BPF, by the names of package
// subsystem, which says how they are asked for.
func (Kernel) Subsystems() map[string]error { return subsystem.Probe() }

// Attachment is how the policy's programs would be on interfaces: see TCMode.
func (Kernel) Attachment() string {
	if haveTCX() == nil {
		return string(TCX)
	}
	return string(TCClsact)
}

// haveTC: a kernel without TCX has clsact, whose absence nothing tells but the
// attempt; an interface that refuses it is named then.
func haveTC() error {
	if err := haveTCX(); !errors.Is(err, ebpf.ErrNotSupported) {
		return err
	}
	return features.HaveProgramType(ebpf.SchedCLS)
}

// haveTCX attaches to an interface that cannot exist: a kernel that knows TCX
// says so, an older one does not know what is asked.
func haveTCX() error {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, AttachType: ebpf.AttachTCXIngress, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return fmt.Errorf("cannot be told: %w", err)
	}
	defer program.Close()
	l, err := link.AttachTCX(link.TCXOptions{Interface: math.MaxInt32, Program: program, Attach: ebpf.AttachTCXIngress})
	switch {
	case err == nil:
		return errors.Join(errors.New("cannot be told: an interface exists that should not"), l.Close())
	case errors.Is(err, unix.ENODEV):
		return nil
	case errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("the kernel has none, Linux 6.6 brought it: %w", err)
	}
	return err
}

// loadable has the verifier look at the programs, over tables of one flow.
func loadable() error {
	for _, object := range []struct {
		name string
		load func() (*ebpf.CollectionSpec, error)
	}{{"tc", bpfobj.LoadTc}, {"xdp", bpfobj.LoadXdp}, {"simulate", bpfobj.LoadSimulate}, {"qos", bpfobj.LoadQos}} {
		spec, err := object.load()
		if err != nil {
			return fmt.Errorf("read the %s program: %w", object.name, err)
		}
		for _, large := range []string{"flows", "told", "tuples", "refusals", "counters", "rule_counters", "fast_ways", "fast_nats6", "guard_states"} {
			if m, ok := spec.Maps[large]; ok {
				m.MaxEntries = 64
			}
		}
		if m, ok := spec.Maps["events"]; ok {
			m.MaxEntries = 4096
		}
		programs, err := ebpf.NewCollection(spec)
		var verifier *ebpf.VerifierError
		if errors.As(err, &verifier) {
			// Its cause is often EACCES, which is no lack of privileges here.
			return errors.New(loadError(object.name, err).Error())
		}
		if err != nil {
			return loadError(object.name, err)
		}
		programs.Close()
	}
	return nil
}
