// Package dataplane owns the kernel's side of the firewall: it loads the packet
// programs, puts them on the interfaces, swaps policies under them and reads
// their counters. It knows no cloud and no configuration files.
//
// Programs and maps are pinned: a process that opens the same pins takes over a
// running data plane without touching a packet, and closing it leaves packets
// flowing under the last policy. A policy is enforced whole or not at all: an
// image is written beside the active one and made active by one store.
//
// A Dataplane is safe for concurrent use. One process at a time may own a pin
// directory; the caller sees to that.
package dataplane

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"ngfw.sh/dataplane/flow"
	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// XDPMode says how the early filter is attached.
type XDPMode string

const (
	XDPAuto    XDPMode = "auto"    // native, else TC does its work
	XDPNative  XDPMode = "native"  // the same, and a lack is said with its cause
	XDPGeneric XDPMode = "generic" // works everywhere, saves nothing
	XDPOff     XDPMode = "off"
)

// Config of a data plane.
type Config struct {
	Pins     string // directory on a bpffs, made if absent
	XDP      XDPMode
	TC       TCMode   // "" is TCAuto
	FastPath FastPath // "" is FastOff
	Clock    Clock    // "" is ClockKernel
	MaxFlows uint32   // entries of the flow table, each about 700 bytes at once and 100 more while it runs
}

// DefaultMaxFlows takes 88 MiB of kernel memory from the start (32 for flows, 8
// for their two tuples each, 48 for the fast path's ways) and up to 14 MiB more
// for what was told of them.
const DefaultMaxFlows = 131072

// DefaultConfig is for a router of its own.
func DefaultConfig() Config {
	return Config{Pins: "/sys/fs/bpf/ngfw", XDP: XDPAuto, TC: TCAuto, FastPath: FastAuto, MaxFlows: DefaultMaxFlows}
}

// Deps of a data plane.
type Deps struct {
	Log *slog.Logger
}

// Dataplane is an open data plane.
type Dataplane struct {
	cfg  Config
	log  *slog.Logger
	pins pinDir

	tc  bpfobj.TcObjects
	xdp struct {
		Program *ebpf.Program `ebpf:"ngfw_xdp"`
	}
	sim     *Simulator
	tcMode  TCMode        // TCX or TCClsact
	collect *ebpf.Program // of the fast path's counts; nil: there is no fast path
	doubt   *ebpf.Program // of flows' verdicts; nil with collect
	flows   *flow.Table
	shape   shaping

	mu       sync.Mutex           // guards what follows, and writers of the image slots
	image    *policy.Image        // active; nil until Apply, also after a take-over
	ports    map[int]attachedPort // by ifindex
	pinned   map[int]attachedPort // of an earlier process, until AttachAll has been at them
	previous map[uint32]struct{}  // deciders of the image before
	counted  map[uint32]struct{}  // deciders that have a counter; nil until read
	near     nearCounters
	degraded map[string]string // interface or feature → what it lacks

	// vacated tells that no program reads the slot that the next image goes to; nil:
	// nobody has waited for that yet. vacating is who does.
	vacated  chan error
	vacating sync.WaitGroup

	clockUnset bool // the time cannot be believed

	inspection Inspection
	lists      []string // drop lists in force
	early      earlyZone

	tracing chan struct{} // room for the one trace
}

// Open loads the programs over the pinned maps, or over new ones. It attaches
// nothing yet; programs that are attached already go on.
func Open(cfg Config, deps Deps) (*Dataplane, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("lift the locked memory limit: %w: run as root", err)
	}
	d := &Dataplane{
		cfg: cfg, log: deps.Log, pins: pinDir(cfg.Pins),
		ports: map[int]attachedPort{}, degraded: map[string]string{}, tracing: make(chan struct{}, 1),
	}
	if err := d.pins.prepare(); err != nil {
		return nil, err
	}
	if err := errors.Join(d.chooseTC(), d.load()); err != nil {
		d.Close()
		return nil, err
	}
	var err error
	if d.pinned, err = d.pinnedPorts(); err != nil {
		d.Close()
		return nil, err
	}
	if err := d.checkClock(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Dataplane) load() error {
	opts := ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: d.pins.maps()}}
	spec, err := bpfobj.LoadTc()
	if err != nil {
		return fmt.Errorf("read the packet programs: %w", err)
	}
	for name, m := range spec.Maps {
		if name[0] != '.' && !strings.HasPrefix(name, "trace") { // not .rodata and the like; a trace ends with its process
			m.Pinning = ebpf.PinByName
		}
	}
	if err := d.sizeFlows(spec); err != nil {
		return err
	}
	if err := spec.LoadAndAssign(&d.tc, &opts); err != nil {
		return loadError("tc", err)
	}
	if d.near, err = openNear(d.tc.RuleCounters); err != nil {
		return err
	}
	shared := map[string]*ebpf.Map{
		"drops": d.tc.Drops, "stats": d.tc.Stats, "image_meta": d.tc.ImageMeta, "image_pairs": d.tc.ImagePairs,
		"image_lines": d.tc.ImageLines, "image_ports": d.tc.ImagePorts, "image_nat": d.tc.ImageNat, "image_natmeta": d.tc.ImageNatmeta, "works": d.tc.Works,
		"settings": d.tc.Settings, "counters": d.tc.Counters, "rule_counters": d.tc.RuleCounters, "flows": d.tc.Flows,
		"fast_ways": d.tc.FastWays, "fast_homes": d.tc.FastHomes, "fast_nats6": d.tc.FastNats6, "fast_stats": d.tc.FastStats, "fast_watched": d.tc.FastWatched,
		"lists": d.tc.Lists, "list_drops": d.tc.ListDrops, "list_names": d.tc.ListNames, "earlies": d.tc.Earlies,
		"early_zones": d.tc.EarlyZones, "guard_drops": d.tc.GuardDrops,
		"guard_states": d.tc.GuardStates, "tuples": d.tc.Tuples, "flow_numbers": d.tc.FlowNumbers, "flow_blocks": d.tc.FlowBlocks,
		"traces": d.tc.Traces, "trace_records": d.tc.TraceRecords,
		"qos_state": d.tc.QosState, "qos_tables": d.tc.QosTables, "qos_devices": d.tc.QosDevices, "qos_links": d.tc.QosLinks, "qos_apps": d.tc.QosApps,
	}
	if err := loadOver(d.loadXDP, &d.xdp, shared); err != nil {
		return loadError("xdp", err)
	}
	if err := loadOver(bpfobj.LoadQos, &d.shape, shared); err != nil {
		return loadError("qos", err)
	}
	d.sim, err = newSimulator(shared)
	if err != nil {
		return err
	}
	if d.flows, err = flow.OpenTable(shared); err != nil {
		return loadError("table", err)
	}
	d.loadCollector(shared)
	return d.initSettings()
}

// loadOver loads what objects names, over the maps that it has in common with
// others.
func loadOver(load func() (*ebpf.CollectionSpec, error), objects any, shared map[string]*ebpf.Map) error {
	spec, err := load()
	if err != nil {
		return err
	}
	replace := map[string]*ebpf.Map{}
	for name := range spec.Maps {
		if m, ok := shared[name]; ok {
			spec.Maps[name].MaxEntries = m.MaxEntries() // sizes are the running tables'
			replace[name] = m
		}
	}
	return spec.LoadAndAssign(objects, &ebpf.CollectionOptions{MapReplacements: replace})
}

// sizeFlows sets the flow table's size; one that is pinned keeps its own, since
// running flows matter more than a changed setting.
func (d *Dataplane) sizeFlows(spec *ebpf.CollectionSpec) error {
	size := d.cfg.MaxFlows
	if size == 0 {
		size = DefaultMaxFlows
	}
	pinned, err := ebpf.LoadPinnedMap(d.pins.mapPath("flows"), &ebpf.LoadPinOptions{ReadOnly: true})
	switch {
	case err == nil:
		if have := pinned.MaxEntries(); have != size {
			d.log.Warn("the running flow table keeps its size until the next boot", "entries", have, "configured", size)
			size = have
		}
		pinned.Close()
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("open the pinned flow table: %w", err)
	}
	spec.Maps["rule_counters"].MaxEntries = nearRules * uint32(ebpf.MustPossibleCPU())
	for name, n := range flow.Sizes(size) {
		spec.Maps[name].MaxEntries = n
	}
	spec.Maps["told"].MaxEntries = size
	spec.Maps["fast_ways"].MaxEntries = 1 << bits.Len32(2*size-1) // a power of two, as the programs expect
	spec.Maps["fast_nats6"].MaxEntries = spec.Maps["fast_ways"].MaxEntries
	spec.Maps["fast_homes"].MaxEntries = (spec.Maps["fast_ways"].MaxEntries + homesPerWord - 1) / homesPerWord
	return nil
}

func loadError(name string, err error) error {
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) {
		last := ""
		if n := len(verifier.Log); n > 0 {
			last = verifier.Log[n-1]
		}
		return fmt.Errorf("the kernel refused the %s program: %w (%s): Linux 6.1 or newer with BTF and CONFIG_NF_CONNTRACK is needed; run ngfw-agent doctor", name, verifier.Cause, last)
	}
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		return fmt.Errorf("the pinned maps do not fit this version: %w: remove the pin directory, running flows are then taken over from conntrack", err)
	}
	return fmt.Errorf("load the %s program: %w", name, err)
}

// initSettings fixes what must not change while flows live. The pinned element
// is kept on a take-over.
func (d *Dataplane) initSettings() error {
	c, err := d.settings()
	if err != nil {
		return err
	}
	if c.ClockBase == 0 {
		c.ClockBase = uint64(flow.BootTime().UnixNano())
		var random [12]byte
		rand.Read(random[:]) // never fails
		c.Secret = binary.NativeEndian.Uint64(random[:])
		// Taken a moment apart, two offsets of the clock may be the same.
		c.Instance = binary.NativeEndian.Uint32(random[8:])
		if err := d.flows.Number(); err != nil {
			return err
		}
	}
	switch {
	case !d.fast():
		c.Fast = 0
	case c.Fast == 0: // else what the ports allowed before a restart
		c.Fast = d.fastForms()
	}
	return d.putSettings(c)
}

func (d *Dataplane) settings() (bpfobj.TcConfig, error) {
	var c bpfobj.TcConfig
	if err := d.tc.Settings.Lookup(uint32(0), &c); err != nil {
		return c, fmt.Errorf("read the data plane's settings: %w", err)
	}
	return c, nil
}

// putSettings is a swap of one element: a packet sees the old or the new.
func (d *Dataplane) putSettings(c bpfobj.TcConfig) error {
	if err := d.tc.Settings.Put(uint32(0), &c); err != nil {
		return fmt.Errorf("write the data plane's settings: %w", err)
	}
	return nil
}

// Instance names these maps: counters of another instance began from zero.
func (d *Dataplane) Instance() (uint64, error) {
	c, err := d.settings()
	return c.ClockBase ^ uint64(c.Instance)<<32, err
}

// SetCloud permits the agent's own connection to this address, whatever the
// policy says: system rule "cloud". The zero value permits none.
func (d *Dataplane) SetCloud(to netip.AddrPort) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.settings()
	if err != nil {
		return err
	}
	c.CloudAddr, c.CloudPort = [16]byte{}, 0
	if to.IsValid() {
		c.CloudAddr = to.Addr().As16()
		c.CloudPort = networkOrder(to.Port())
	}
	return d.putSettings(c)
}

// Revision of the policy that packets meet now; 0: none yet.
func (d *Dataplane) Revision() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.settings()
	if err != nil {
		return 0
	}
	return int64(c.Active >> activeShift)
}

// FlowMaps are what package flow reads records from.
func (d *Dataplane) FlowMaps() flow.Maps {
	return flow.Maps{
		Events: d.tc.Events, Flows: d.flows, Told: d.tc.Told, Refusals: d.tc.Refusals,
		Settle: d.settle,
	}
}

// Close lets go of everything and changes nothing: what is pinned goes on.
func (d *Dataplane) Close() error {
	d.vacating.Wait()
	errs := []error{d.tc.Close(), d.shape.close()}
	if d.xdp.Program != nil {
		errs = append(errs, d.xdp.Program.Close())
	}
	if d.sim != nil {
		errs = append(errs, d.sim.Close())
	}
	if d.flows != nil {
		errs = append(errs, d.flows.Close())
	}
	if d.collect != nil {
		errs = append(errs, d.collect.Close(), d.doubt.Close())
	}
	return errors.Join(errs...)
}
