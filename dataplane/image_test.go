package dataplane

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"ngfw.sh/policy"
)

// question is one that the rules of ruleOf answer.
var question = policy.ImagePacket{
	From: zoneLAN, To: zoneWAN, Protocol: policy.ProtocolUDP, Port: 53, SourcePort: 1,
	Source: netip.MustParseAddr(lan4).As16(), Destination: netip.MustParseAddr(inet4).As16(),
}

// ruleOf is a policy of one rule, among others that only take room.
func ruleOf(id int, action string) string {
	rules := fmt.Sprintf(`{"id":%d,"name":"r","zone_from":"LAN","zone_to":"WAN","protocol":"udp","port":"53","action":%q}`, id, action)
	for i := range id {
		rules = fmt.Sprintf(`{"id":%d,"name":"n","zone_from":"LAN","zone_to":"WAN","protocol":"udp","port":"%d","action":"drop"},`, 1000+i, 1000+2*i) + rules
	}
	return rules
}

func rule(id uint32) policy.Decider { return policy.NewDecider(policy.DeciderRule, id) }

// slots lists those in use, and fails where the tables disagree.
func (k *kernel) slots() []uint32 {
	k.t.Helper()
	var used []uint32
	for s := range uint32(imageSlots) {
		held := 0
		all := []*ebpf.Map{k.tc.ImageMeta, k.tc.ImagePairs, k.tc.ImageLines, k.tc.ImagePorts, k.tc.ImageNat, k.tc.ImageNatmeta}
		for _, outer := range all {
			switch m, err := inner(outer, s); {
			case err == nil:
				held++
				m.Close()
			case !errors.Is(err, ebpf.ErrKeyNotExist):
				k.t.Fatal(err)
			}
		}
		if held == len(all) {
			used = append(used, s)
		} else if held != 0 {
			k.t.Errorf("slot %d holds %d tables of %d", s, held, len(all))
		}
	}
	return used
}

func TestSwapIsSeenWhole(t *testing.T) {
	k := newKernel(t, 16)
	// Of different sizes, so that an index of one is none of the other.
	images := []*policy.Image{image(t, 1, ruleOf(11, "accept"), ""), image(t, 2, ruleOf(3, "drop"), "")}
	if err := k.Apply(images[0]); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var asked [2]int
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			v, err := k.Simulate(question)
			switch {
			case err != nil:
				t.Error(err)
				return
			case v.Action == policy.Accept && v.Decider == rule(11):
				asked[0]++
			case v.Action == policy.Drop && v.Decider == rule(3):
				asked[1]++
			default:
				t.Errorf("an answer of neither policy: %+v", v)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	swaps := 250
	if os.Getenv("NGFW_LONG") != "" {
		swaps = 1000
	}
	for i := range swaps {
		im := *images[(i+1)%2]
		im.Revision = int64(i + 2)
		if err := k.Apply(&im); err != nil {
			t.Fatal(err)
		}
		if got := k.Revision(); got != im.Revision {
			t.Fatalf("revision %d after applying %d", got, im.Revision)
		}
		if used := k.slots(); len(used) > 2 {
			t.Fatalf("slots %v are in use, want the active and the one before", used)
		}
	}
	close(stop)
	wait.Wait()
	if asked[0] < 10 || asked[1] < 10 {
		t.Errorf("only %v answers", asked)
	}
}

// The same on the wire: packets see one policy or the other.
func TestPacketsMeetWholePolicies(t *testing.T) {
	k := newKernel(t, 1024)
	images := []*policy.Image{image(t, 1, ruleOf(11, "accept"), ""), image(t, 2, ruleOf(3, "drop"), "")}
	if err := k.Apply(images[0]); err != nil {
		t.Fatal(err)
	}
	frame := packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 53}.frame(t)
	stop := make(chan struct{})
	least := int64(60) // swaps; 1,000 with NGFW_LONG
	if os.Getenv("NGFW_LONG") != "" {
		least = 1000
	}
	var swaps atomic.Int64
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := int64(3); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			im := *images[i%2]
			im.Revision = i
			if err := k.Apply(&im); err != nil {
				t.Error(err)
				return
			}
			swaps.Add(1)
		}
	})
	seen := map[outcome]int{}
	for n := 0; (n < 3000 || swaps.Load() < least) && !t.Failed(); n++ {
		seen[k.arrive(k.lan, frame)]++
	}
	close(stop)
	wait.Wait()
	t.Logf("%d swaps, %v", swaps.Load(), seen)
	for got := range seen {
		switch {
		case got.Verdict == "next" && got.Mark&markJudged != 0 && got.Reason == "":
		case got.Verdict == "drop" && got.Reason == "policy":
		// An image that was swapped away twice while a packet was under way.
		case got.Verdict == "drop" && got.Reason == "no_image" && int64(seen[got]) <= swaps.Load():
		default:
			t.Errorf("%+v", got)
		}
	}
	if len(seen) < 2 {
		t.Errorf("one policy alone was met: %v", seen)
	}
}

func TestFailedWriteLeavesTheOldPolicy(t *testing.T) {
	k := newKernel(t, 16)
	huge := image(t, 9, "", "")
	huge.Zones = make([]string, maxZones+1)
	fail := func(what string, im *policy.Image) {
		t.Helper()
		if err := k.Apply(im); err == nil || !strings.Contains(err.Error(), "revision 9") {
			t.Fatalf("%s: %v", what, err)
		}
	}
	fail("the first", huge)
	equal(t, "revision", k.Revision(), int64(0))
	equal(t, "slots", k.slots(), []uint32(nil))

	k.apply(1, ruleOf(1, "accept"), "")
	unchanged := func(what string) {
		t.Helper()
		equal(t, what+": revision", k.Revision(), int64(1))
		if v, err := k.Simulate(question); err != nil || v.Decider != rule(1) {
			t.Errorf("%s: %+v, %v", what, v, err)
		}
		equal(t, what+": slots", len(k.slots()), 1)
	}
	fail("too many zones", huge)
	unchanged("too many zones")

	// Halfway: the port table is filled after pairs and entries.
	ports := k.ports
	k.ports = map[int]attachedPort{}
	for i := range 1100 {
		k.ports[i+1] = attachedPort{name: "lan"}
	}
	fail("too many ports", image(t, 9, "", ""))
	unchanged("too many ports")

	k.ports = ports
	k.apply(2, ruleOf(2, "drop"), "")
	equal(t, "the next", k.Revision(), int64(2))
}

func TestCountersLiveAsLongAsTheirRules(t *testing.T) {
	k := newKernel(t, 16)
	has := func(id uint32) bool {
		t.Helper()
		all, err := k.Counters()
		if err != nil {
			t.Fatal(err)
		}
		_, ok := all[rule(id)]
		return ok
	}
	one := `{"id":1,"name":"a","zone_from":"LAN","zone_to":"WAN","protocol":"udp","action":"accept"`
	two := `{"id":2,"name":"b","zone_from":"LAN","zone_to":"WAN","protocol":"tcp","action":"accept"}`
	k.apply(1, one+"},"+two, "")
	k.arrive(k.lan, packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 2}.frame(t))
	k.apply(2, one+`,"enabled":false},`+two, "")
	k.apply(3, one+`,"enabled":false},`+two, "")
	k.apply(4, one+`,"enabled":false}`, "")
	if !has(1) || k.count(rule(1)).Packets != 1 {
		t.Errorf("a disabled rule lost its count: %+v", k.count(rule(1)))
	}
	if !has(2) {
		t.Error("a rule's counter went with the rule: packets under way count in it")
	}
	k.apply(5, one+`,"enabled":false}`, "")
	if has(2) {
		t.Error("a removed rule's counter is still there after two swaps")
	}
	k.apply(6, one+"}", "")
	equal(t, "enabled again", k.count(rule(1)).Packets, uint64(1))
}

// Rules with small numbers count elsewhere than those with large ones: nobody
// sees where, nor what a rule of the same number counted before.
func TestCountersOfLargeRuleNumbers(t *testing.T) {
	k := newKernel(t, 64)
	ids := []uint32{1, nearRules - 1, nearRules, 1 << 20}
	for round := range int64(2) {
		var rules []string
		for i, id := range ids {
			rules = append(rules, fmt.Sprintf(`{"id":%d,"name":"r","zone_from":"LAN","zone_to":"WAN","protocol":"udp","port":"%d","action":"accept"}`, id, 1000+i))
		}
		k.apply(10*round+1, strings.Join(rules, ","), "")
		for i, id := range ids {
			for range i + 1 {
				k.arrive(k.lan, packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: uint16(1000 + i)}.frame(t))
			}
			equal(t, fmt.Sprintf("rule %d", id), k.count(rule(id)).Packets, uint64(i+1))
		}
		for i := range int64(3) { // until they are forgotten
			k.apply(10*round+2+i, "", "")
		}
		k.forget()
	}
	equal(t, "without a counter", k.stat().NoCounter, uint64(0))
}

func TestTakeOver(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(7, ruleOf(2, "accept"), usual)
	frame := packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 53}.frame(t)
	for range 3 {
		k.arrive(k.lan, frame)
	}
	k.arrive(k.wan, frame) // counted as a drop
	instance, err := k.Instance()
	if err != nil {
		t.Fatal(err)
	}
	flows, stats, drops := k.flows(), k.stat(), k.dropped()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}

	// Another size is configured, and the running table kept.
	k.Dataplane = openAt(t, k.pins, 128)
	again, err := k.Instance()
	if err != nil || again != instance {
		t.Errorf("instance %d, %v, was %d", again, err, instance)
	}
	equal(t, "revision", k.Revision(), int64(7))
	equal(t, "flows", k.flows(), flows)
	equal(t, "room", k.tc.Flows.MaxEntries(), uint32(64))
	equal(t, "statistics", k.stat(), stats)
	for r, c := range k.dropped() {
		equal(t, r.String(), c.Packets, drops[r].Packets)
	}
	equal(t, "rule", k.count(rule(2)).Packets, uint64(3))
	if v, err := k.Simulate(question); err != nil || v.Decider != rule(2) {
		t.Errorf("%+v, %v", v, err)
	}
	equal(t, "the next packet", k.arrive(k.lan, frame).Verdict, "next")
	equal(t, "its flow", k.flow().Packets, [2]uint64{4, 0})

	if err := errors.Join(k.Close(), Remove(k.pins)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(k.pins); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pins are still there: %v", err)
	}
	k.Dataplane = openAt(t, k.pins, 128)
	equal(t, "a new one", k.Revision(), int64(0))
	equal(t, "its room", k.tc.Flows.MaxEntries(), uint32(128))
	if fresh, _ := k.Instance(); fresh == instance {
		t.Error("new maps have the old instance")
	}
}

// A new process enforces before it has been at the interfaces: those that an
// earlier one attached keep their zones, or every packet would be of none.
func TestTakeOverKeepsZones(t *testing.T) {
	k := newKernel(t, 64)
	clear(k.ports)
	k.apply(1, "", usual)
	ports := func() map[uint32]uint32 {
		t.Helper()
		c, err := k.settings()
		if err != nil {
			t.Fatal(err)
		}
		table, err := inner(k.tc.ImagePorts, activeSlot(c))
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		zones := map[uint32]uint32{}
		var index, zone uint32
		it := table.Iterate()
		for it.Next(&index, &zone) {
			zones[index] = zone
		}
		if err := it.Err(); err != nil {
			t.Fatal(err)
		}
		return zones
	}
	attach := func() {
		t.Helper()
		k.in(func() {
			if err := k.AttachAll(); err != nil {
				t.Error(err)
			}
		})
	}
	equal(t, "before any is attached", ports(), map[uint32]uint32{})
	attach()
	attached := ports()
	if attached[k.lan] != zoneLAN || attached[k.wan] != zoneWAN {
		t.Fatalf("attached: %v", attached)
	}

	again := func() {
		t.Helper()
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		k.in(func() { k.Dataplane = openAt(t, k.pins, 64) })
		k.apply(2, "", usual)
	}
	again()
	equal(t, "the first policy of a new process", ports(), attached)
	attach()
	equal(t, "attached again", ports(), attached)

	// One that went while nobody was there is not among them.
	k.in(func() {
		link, err := netlink.LinkByName("iot")
		if err == nil {
			err = netlink.LinkDel(link)
		}
		if err != nil {
			t.Error(err)
		}
	})
	again()
	if zone, ok := ports()[k.iot]; ok {
		t.Errorf("an interface that is gone has zone %d", zone)
	}
	equal(t, "the others", ports()[k.lan], uint32(zoneLAN))
}

func TestPinsThatCannotBeUsed(t *testing.T) {
	refused := func(pins, remedy string) {
		t.Helper()
		d, err := Open(Config{Pins: pins, XDP: XDPOff, MaxFlows: 16}, Deps{Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			d.Close()
			t.Fatalf("%s was taken", pins)
		}
		if !strings.Contains(err.Error(), remedy) {
			t.Errorf("%v: no word of %q", err, remedy)
		}
	}
	fs := bpffs(t)
	refused(filepath.Join(t.TempDir(), "plain"), "mount -t bpf")
	newer := filepath.Join(fs, "newer")
	if err := os.MkdirAll(filepath.Join(newer, fmt.Sprintf("v%d", abi+1)), 0o700); err != nil {
		t.Fatal(err)
	}
	refused(newer, "start the newer ngfw-agent")

	// A map of another shape under a name of ours.
	odd := filepath.Join(fs, "odd")
	if err := os.MkdirAll(filepath.Join(odd, fmt.Sprintf("v%d", abi), "maps"), 0o700); err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Pin(filepath.Join(odd, fmt.Sprintf("v%d", abi), "maps", "drops")); err != nil {
		t.Fatal(err)
	}
	refused(odd, "remove the pin directory")
}

// What DefaultConfig says of its memory is true here.
func TestFlowTableMemory(t *testing.T) {
	d := openAt(t, filepath.Join(bpffs(t), "ngfw"), 0)
	if err := d.Apply(image(t, 1, "", usual)); err != nil {
		t.Fatal(err)
	}
	var total uint64
	for name, m := range map[string]*ebpf.Map{"flows": d.tc.Flows, "tuples": d.tc.Tuples, "told": d.tc.Told} {
		info, err := m.Info()
		if err != nil {
			t.Fatal(err)
		}
		n, ok := info.Memlock()
		if !ok {
			t.Skip("SKIPPED: this kernel does not tell what a map takes")
		}
		t.Logf("%s: %d MiB for %d", name, n>>20, m.MaxEntries())
		total += n
	}
	if total < 30<<20 || total > 60<<20 {
		t.Errorf("the flow tables take %d MiB", total>>20)
	}
}
