package dataplane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// bpffs mounts one for a test to pin in.
func bpffs(t testing.TB) string {
	t.Helper()
	needRoot(t)
	dir := filepath.Join(t.TempDir(), "bpf")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("bpf", dir, "bpf", 0, "mode=700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func openAt(t testing.TB, pins string, flows uint32) *Dataplane {
	t.Helper()
	d, err := Open(Config{Pins: pins, XDP: XDPOff, MaxFlows: flows}, Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() }) // a test may have closed it
	return d
}

// kernel is a data plane whose programs are run by BPF_PROG_TEST_RUN, in a
// network namespace of the test's own with the interfaces lan, iot and wan.
// Nothing is attached: the port table is filled as if it were.
type kernel struct {
	*Dataplane
	t             testing.TB
	pins          string
	work          chan func()
	lan, iot, wan uint32
}

func newKernel(t testing.TB, flows uint32) *kernel {
	t.Helper()
	k := &kernel{t: t, pins: filepath.Join(bpffs(t), "ngfw"), work: make(chan func())}
	k.Dataplane = openAt(t, k.pins, flows)
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its namespace
		failed <- k.network()
		for f := range k.work {
			f()
		}
	}()
	t.Cleanup(func() { close(k.work) })
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	for name, index := range map[string]uint32{"lan": k.lan, "iot": k.iot, "wan": k.wan} {
		k.ports[int(index)] = attachedPort{name: name}
	}
	return k
}

// network makes the namespace that the calling thread stays in.
func (k *kernel) network() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	for _, port := range []struct {
		name   string
		index  *uint32
		v4, v6 string
	}{
		{"lan", &k.lan, "10.0.1.1/24", "2001:db8:1::1/64"},
		{"iot", &k.iot, "10.0.3.1/24", "2001:db8:3::1/64"},
		{"wan", &k.wan, "192.0.2.1/24", "2001:db8:ff::1/64"},
	} {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: port.name}, PeerName: port.name + "-peer"}
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("make %s: %w", port.name, err)
		}
		link, err := netlink.LinkByName(port.name)
		if err != nil {
			return err
		}
		peer, err := netlink.LinkByName(port.name + "-peer")
		if err != nil {
			return err
		}
		*port.index = uint32(link.Attrs().Index)
		for _, a := range []string{port.v4, port.v6} {
			addr, err := netlink.ParseAddr(a)
			if err != nil {
				return err
			}
			addr.Flags = unix.IFA_F_NODAD
			if err := netlink.AddrAdd(link, addr); err != nil {
				return err
			}
		}
		if err := errors.Join(netlink.LinkSetUp(peer), netlink.LinkSetUp(link)); err != nil {
			return err
		}
	}
	for _, gateway := range []string{"192.0.2.254", "2001:db8:ff::fe"} {
		ip, err := netlink.ParseAddr(gateway + "/32")
		if err != nil {
			return err
		}
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: int(k.wan), Gw: ip.IP}); err != nil {
			return fmt.Errorf("route by %s: %w", gateway, err)
		}
	}
	for _, path := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
		if err := os.WriteFile(path, []byte("1"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// in runs f in the namespace.
func (k *kernel) in(f func()) {
	done := make(chan struct{})
	k.work <- func() { defer close(done); f() }
	<-done
}

// apply compiles zones WAN, LAN and IOT with these rules and defaults.
func (k *kernel) apply(revision int64, rules, defaults string) {
	k.t.Helper()
	if err := k.Apply(image(k.t, revision, rules, defaults)); err != nil {
		k.t.Fatal(err)
	}
}

func image(t testing.TB, revision int64, rules, defaults string) *policy.Image {
	t.Helper()
	p, err := policy.Decode([]byte(`{"zones":[{"id":1,"name":"WAN","interfaces":["wan"],"masquerade":true},
{"id":2,"name":"LAN","interfaces":["lan"]},{"id":3,"name":"IOT","interfaces":["iot"]}],
"rules":[` + rules + `],"policies":[` + defaults + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	p.Revision = revision
	im, err := policy.Compile(p, policy.Env{System: policy.SystemSet(policy.SystemNeighbourDiscovery, policy.SystemMLD, policy.SystemDHCPClient)})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// As image numbers the zones.
const (
	zoneWAN = 2
	zoneLAN = 3
	zoneIOT = 4
)

// As in bpf/abi/abi.h.
const (
	markJudged = 0x80000000
	markReply  = 0x40000000
	markLearn  = 0x20000000
	markReject = 0x10000000
)

func markZone(zone uint32) uint32 { return zone << 21 }

// skb is the context of a TC program: what may be set of struct __sk_buff.
type skb struct {
	mark, ingress, ifindex uint32
	segs                   uint32 // of a GSO packet
}

// Offsets in struct __sk_buff (linux/bpf.h).
const (
	skbMark, skbIngress, skbIfindex = 8, 36, 40
	skbSegs, skbSegSize             = 164, 176
	skbLength                       = 192
)

// outcome of one run.
type outcome struct {
	Verdict string // next, pass or drop
	Reason  string // the drop counter that went up, "" for none
	Mark    uint32
}

var verdicts = map[uint32]string{0xffffffff: "next", 2: "drop"}

// send runs a TC program over a frame.
func (k *kernel) send(program *ebpf.Program, frame []byte, ctx skb) outcome {
	k.t.Helper()
	in, out := make([]byte, skbLength), make([]byte, skbLength)
	binary.NativeEndian.PutUint32(in[skbMark:], ctx.mark)
	binary.NativeEndian.PutUint32(in[skbIngress:], ctx.ingress)
	binary.NativeEndian.PutUint32(in[skbIfindex:], ctx.ifindex)
	if ctx.segs > 0 {
		binary.NativeEndian.PutUint32(in[skbSegs:], ctx.segs)
		binary.NativeEndian.PutUint32(in[skbSegSize:], 1000)
	}
	before := k.dropped()
	var rc uint32
	var err error
	k.in(func() { rc, err = program.Run(&ebpf.RunOptions{Data: frame, Context: in, ContextOut: out}) })
	if err != nil {
		k.t.Fatalf("%d bytes %.64x: %v", len(frame), frame, err)
	}
	verdict, known := verdicts[rc]
	if !known {
		k.t.Fatalf("the program answered %d", rc)
	}
	return outcome{verdict, k.droppedSince(before), binary.NativeEndian.Uint32(out[skbMark:])}
}

// arrive has a frame arrive on an interface, leave has the router send one.
func (k *kernel) arrive(port uint32, frame []byte) outcome {
	k.t.Helper()
	return k.send(k.tc.NgfwIngress, frame, skb{ifindex: port})
}

func (k *kernel) leave(port uint32, frame []byte) outcome {
	k.t.Helper()
	return k.send(k.tc.NgfwEgress, frame, skb{ifindex: port})
}

// early runs the XDP program.
func (k *kernel) early(frame []byte) outcome {
	k.t.Helper()
	before := k.dropped()
	rc, err := k.xdp.Program.Run(&ebpf.RunOptions{Data: frame})
	if err != nil {
		k.t.Fatalf("%d bytes %.64x: %v", len(frame), frame, err)
	}
	verdict := map[uint32]string{1: "drop", 2: "pass"}[rc]
	return outcome{Verdict: verdict, Reason: k.droppedSince(before)}
}

func (k *kernel) dropped() map[DropReason]Counter {
	k.t.Helper()
	drops, err := k.Drops()
	if err != nil {
		k.t.Fatal(err)
	}
	return drops
}

func (k *kernel) droppedSince(before map[DropReason]Counter) string {
	k.t.Helper()
	var reasons []string
	for r, c := range k.dropped() {
		if c.Packets != before[r].Packets {
			reasons = append(reasons, r.String())
		}
	}
	return strings.Join(reasons, "+")
}

// flow reads the only flow in the table.
func (k *kernel) flow() bpfobj.TcFlow {
	k.t.Helper()
	all := k.flows()
	if len(all) != 1 {
		k.t.Fatalf("%d flows, want one: %+v", len(all), all)
	}
	return all[0]
}

func (k *kernel) flows() []bpfobj.TcFlow {
	k.t.Helper()
	var all []bpfobj.TcFlow
	err := k.Dataplane.flows.Scan(func(some []bpfobj.TcFlow) error {
		all = append(all, some...)
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return all
}

// forget empties the flow table.
func (k *kernel) forget() {
	k.t.Helper()
	for _, f := range k.flows() {
		if err := k.Dataplane.flows.Forget(f.Id); err != nil {
			k.t.Fatal(err)
		}
	}
}

// change edits the only flow in the table.
func (k *kernel) change(edit func(*bpfobj.TcFlow)) {
	k.t.Helper()
	f := k.flow()
	edit(&f)
	if err := k.tc.Flows.Put(uint32(f.Id>>1)&(1<<24-1), &f); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kernel) stat() Stats {
	k.t.Helper()
	s, err := k.Stats()
	if err != nil {
		k.t.Fatal(err)
	}
	return s
}

func (k *kernel) count(d policy.Decider) Counter {
	k.t.Helper()
	all, err := k.Counters()
	if err != nil {
		k.t.Fatal(err)
	}
	return all[d]
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}
