package liveframe

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"ngfw.sh/lab"
)

// generator sends frames out of lan1.
type generator struct {
	lab     *lab.Lab
	program *ebpf.Program
	next    *ebpf.Map
}

func newGenerator(l *lab.Lab, flows int) (*generator, error) {
	next, err := newCounter()
	if err != nil {
		return nil, err
	}
	port, err := portIndex(l, lab.LAN1, lab.HostPort)
	if err != nil {
		next.Close()
		return nil, err
	}
	program, err := load(generatorProgram(port, flows, next))
	if err != nil {
		next.Close()
		return nil, err
	}
	return &generator{l, program, next}, nil
}

func (g *generator) close() {
	g.program.Close()
	g.next.Close()
}

// testRun is the part of union bpf_attr that BPF_PROG_TEST_RUN has.
type testRun struct {
	progFD, retval            uint32
	dataSizeIn, dataSizeOut   uint32
	dataIn, dataOut           uint64
	repeat, duration          uint32
	ctxSizeIn, ctxSizeOut     uint32
	ctxIn, ctxOut             uint64
	flags, cpu, batchSize, _p uint32
}

// run sends frames and returns the kernel's nanoseconds per frame.
func (g *generator) run(frames int) (ns float64, err error) {
	return liveFrames(g.lab, lab.LAN1, g.program, template(), frames)
}

// liveFrames runs a generator over live frames in a host. The library offers
// them without their duration, hence the system call.
func liveFrames(l *lab.Lab, host string, program *ebpf.Program, data []byte, frames int) (ns float64, err error) {
	attr := testRun{
		progFD: uint32(program.FD()), dataSizeIn: uint32(len(data)), dataIn: uint64(uintptr(unsafe.Pointer(&data[0]))),
		repeat: uint32(frames), flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES,
	}
	var pin runtime.Pinner
	pin.Pin(&data[0])
	defer pin.Unpin()
	// Frames appear on the loopback device of the calling thread's namespace, and
	// softirqs run where they are raised: one namespace, one core.
	err = onOneCore(func() error {
		return l.In(host, func() error {
			for {
				_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
				switch errno {
				case 0:
					return nil
				case unix.EINTR: // the runtime's preemption signal: all over again
					continue
				}
				return fmt.Errorf("run live frames: %w", errno)
			}
		})
	})
	return float64(attr.duration), err
}

// onOneCore keeps the calling thread on the last of the cores that it may use:
// the first is where most interrupts go.
func onOneCore(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the affinity: %w", err)
	}
	for cpu := len(before)*64 - 1; cpu >= 0; cpu-- {
		if before.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("set the affinity: %w", err)
	}
	defer unix.SchedSetaffinity(0, &before)
	return f()
}

// sink counts frames at a port.
type sink struct{ counter *ebpf.Map }

// frames are those that arrived, and those of them that did as they should.
type frames struct{ All, Good uint64 }

func (s *sink) count() (n frames, err error) {
	if err := s.counter.Lookup(uint32(0), &n); err != nil {
		return n, fmt.Errorf("read the sink: %w", err)
	}
	return n, nil
}

// withSink attaches a sink to a port while f runs.
func withSink(l *lab.Lab, host, port string, want arrival, f func(*sink) (float64, error)) (float64, error) {
	counter, err := newMap(16)
	if err != nil {
		return 0, err
	}
	defer counter.Close()
	program, err := load(sinkProgram(counter, want))
	if err != nil {
		return 0, err
	}
	defer program.Close()
	undo, err := attach(l, host, port, program)
	if err != nil {
		return 0, err
	}
	defer undo()
	return f(&sink{counter})
}

func newMirror(l *lab.Lab) (*ebpf.Program, error) {
	port, err := portIndex(l, lab.INET, lab.HostPort)
	if err != nil {
		return nil, err
	}
	return load(mirrorProgram(port))
}

func portIndex(l *lab.Lab, host, port string) (index int, err error) {
	err = l.In(host, func() error {
		dev, err := net.InterfaceByName(port)
		if err != nil {
			return fmt.Errorf("find %s of %s: %w", port, host, err)
		}
		index = dev.Index
		return nil
	})
	return index, err
}

func newCounter() (*ebpf.Map, error) { return newMap(8) }

func newMap(size uint32) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "frames", Type: ebpf.Array, KeySize: 4, ValueSize: size, MaxEntries: 1})
	if err != nil {
		return nil, fmt.Errorf("make a counter: %w", err)
	}
	return m, nil
}

func load(insns asm.Instructions) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, Instructions: insns, License: "GPL"})
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		return nil, fmt.Errorf("load: %+v", refused)
	}
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return p, nil
}

// attach attaches a program natively to a port of a host.
func attach(l *lab.Lab, host, port string, program *ebpf.Program) (undo func(), err error) {
	index, err := portIndex(l, host, port)
	if err != nil {
		return nil, err
	}
	var attached link.Link
	err = l.In(host, func() (err error) {
		attached, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: index, Flags: link.XDPDriverMode})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("attach to %s of %s: %w", port, host, err)
	}
	return func() { attached.Close() }, nil
}
