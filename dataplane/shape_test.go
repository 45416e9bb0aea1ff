package dataplane

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/dataplane/qos"
)

// TestShape shares a kernel: loading the programs takes longer than all else.
func TestShape(t *testing.T) {
	k := newKernel(t, 4096)
	for name, test := range map[string]func(*testing.T, *kernel){
		"class": testClass, "not shaped": testNotShaped, "foreign mark": testForeignMark, "matcher": testMatcherWord,
		"filters": testFilters, "reference": testClassLikeReference, "read back": testTableReadBack,
	} {
		t.Run(name, func(t *testing.T) {
			k.t = t
			k.forget()
			test(t, k)
		})
	}
	k.t = t
}

// shaped gives it an uplink wan, and lan and iot behind it.
func (k *kernel) shaped(c qos.Config) {
	k.t.Helper()
	k.apply(1, "", `{"from":"LAN","to":"any","action":"accept"},{"from":"IOT","to":"any","action":"accept"},{"from":"SELF","to":"any","action":"accept"},{"from":"WAN","to":"LAN","action":"accept"}`)
	k.shapeBy(0, c)
}

func (k *kernel) shapeBy(slot int, c qos.Config) {
	k.t.Helper()
	for _, err := range []error{
		k.SetQoSTable(slot, qos.NewTable(c)), k.SetQoSLinks(map[int]qos.Link{int(k.wan): {Uplink: true}}), k.SetQoS(slot),
	} {
		if err != nil {
			k.t.Fatal(err)
		}
	}
}

// classOf is the class in a packet's mark, 0 for none.
func (o outcome) classOf() int { return int(o.Mark&MarkClass) >> 16 }

// marked gives a frame a codepoint.
func marked(frame []byte, codepoint uint8) []byte {
	if frame[14]>>4 == 6 {
		frame[14] = 6<<4 | codepoint>>2
		frame[15] = frame[15]&0x0f | codepoint<<6
		return frame
	}
	frame[15] = codepoint << 2
	return frame
}

func from(frame []byte, mac qos.MAC) []byte {
	copy(frame[6:], mac[:])
	return frame
}

// testClass: what each criterion does, in both directions of a flow.
func testClass(t *testing.T, k *kernel) {
	voice := qos.Class{ID: 1, Priority: 0, Codepoints: []uint8{46}}
	web := qos.Class{ID: 2, Priority: 3, Ports: []qos.PortRange{{From: 80, To: 80}, {Protocol: 17, From: 443, To: 443}}}
	bulk := qos.Class{ID: 3, Priority: 5, Ports: []qos.PortRange{{Protocol: 6, From: 1000, To: 65535}}, Apps: []uint8{9}}
	tv := qos.MAC{2, 0, 0, 0, 0, 0x77}
	k.shaped(qos.Config{Upload: 1e6, Download: 1e6, Classes: []qos.Class{voice, web, bulk}, Priority: 4, Devices: []qos.Device{{MAC: tv, Priority: 6}}})
	const rest, restTV = 4, 5
	for _, family := range []struct{ lan, inet string }{{lan4, inet4}, {lan6, inet6}} {
		for _, c := range []struct {
			name         string
			proto        layers.IPProtocol
			port         uint16
			there, back  uint8 // codepoints
			mac          qos.MAC
			want, answer int
		}{
			{"port", tcp, 80, 0, 0, qos.MAC{2, 1}, 2, 2},
			{"port of another protocol", tcp, 443, 0, 0, qos.MAC{2, 1}, rest, rest},
			{"port of its protocol", udp, 443, 0, 0, qos.MAC{2, 1}, 2, 2},
			{"end of a range", tcp, 65535, 0, 0, qos.MAC{2, 1}, 3, 3},
			{"codepoint, which answers do not have", udp, 9, 46, 0, qos.MAC{2, 1}, 1, 1},
			{"codepoint of the answer alone", udp, 10, 0, 46, qos.MAC{2, 1}, rest, 1},
			{"the first class counts", tcp, 80, 46, 0, qos.MAC{2, 1}, 1, 1},
			{"nothing", udp, 11, 0, 0, qos.MAC{2, 1}, rest, rest},
			{"device", udp, 12, 0, 0, tv, restTV, restTV},
			{"class before device", tcp, 80, 0, 0, tv, 2, 2},
			{"no ports", icmp, 0, 0, 0, tv, restTV, restTV},
		} {
			if c.proto == icmp && family.lan == lan6 {
				c.proto = icm6
			}
			p := packet{src: family.lan, dst: family.inet, proto: c.proto, sport: 40000, dport: c.port, flags: "S"}
			back := p.reply()
			if c.proto == icmp || c.proto == icm6 {
				p.kind, back.kind = 8, 0
				if c.proto == icm6 {
					p.kind, back.kind = 128, 129
				}
				back.sport, back.dport = p.sport, p.dport
			}
			back.flags = "SA"
			equal(t, c.name, k.arrive(k.lan, from(marked(p.frame(t), c.there), c.mac)).classOf(), c.want)
			k.knowAnswers()
			equal(t, c.name+", answer", k.arrive(k.wan, marked(back.frame(t), c.back)).classOf(), c.answer)
			k.forget()
		}
	}
}

// knowAnswers has the only flow know the tuple of its answers, as egress would learn.
func (k *kernel) knowAnswers() {
	k.t.Helper()
	f := k.flow()
	back := f.Orig
	back.Saddr, back.Daddr = f.Orig.Daddr, f.Orig.Saddr
	if f.Orig.Proto == uint8(tcp) || f.Orig.Proto == uint8(udp) {
		back.Sport, back.Dport = f.Orig.Dport, f.Orig.Sport
	} else { // an echo's answer
		back.Dport = networkOrder(map[layers.IPProtocol]uint16{icmp: 0, icm6: 129 << 8}[layers.IPProtocol(f.Orig.Proto)])
	}
	if err := k.Dataplane.flows.Lead(back, f.Id); err != nil {
		k.t.Fatal(err)
	}
	k.change(func(f *bpfobj.TcFlow) { f.Reply, f.Flags = back, f.Flags|1 })
}

// testNotShaped: what goes by no uplink has no class, and with QoS off nothing has.
func testNotShaped(t *testing.T, k *kernel) {
	c := qos.Config{Upload: 1e6, Download: 1e6, Classes: []qos.Class{{ID: 1, Ports: []qos.PortRange{{From: 1, To: 65535}}}}, Priority: 4}
	k.shaped(c)
	inner := packet{src: lan4, dst: iot4, proto: udp, sport: 1, dport: 80}.frame(t)
	outer := packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 80}.frame(t)
	equal(t, "between inner zones", k.arrive(k.lan, inner), outcome{Verdict: "next", Mark: markJudged | markLearn | markZone(zoneIOT)})
	equal(t, "by the uplink", k.arrive(k.lan, outer), outcome{Verdict: "next", Mark: markJudged | markLearn | markZone(zoneWAN) | 1<<16})
	equal(t, "the router's own", k.leave(k.wan, packet{src: rtrWAN4, dst: inet4, proto: udp, sport: 1, dport: 80}.frame(t)).classOf(), 1)
	equal(t, "the router's own, to inside", k.leave(k.lan, packet{src: rtr4, dst: lan4, proto: udp, sport: 1, dport: 80}.frame(t)).classOf(), 0)
	if err := k.SetQoS(-1); err != nil {
		t.Fatal(err)
	}
	equal(t, "off", k.arrive(k.lan, outer).classOf(), 0)
}

// testForeignMark: bits of the mark that are not ours stay.
func testForeignMark(t *testing.T, k *kernel) {
	k.shaped(qos.Config{Upload: 1e6, Download: 1e6, Priority: 4})
	frame := packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 80}.frame(t)
	o := k.send(k.tc.NgfwIngress, frame, skb{mark: 0xffff, ifindex: k.lan})
	equal(t, "foreign bits", o.Mark&0xffff, uint32(0xffff))
	equal(t, "class", o.classOf(), 1)
}

// testMatcherWord: an application that the matcher has found decides from then on.
func testMatcherWord(t *testing.T, k *kernel) {
	k.shaped(qos.Config{Upload: 1e6, Download: 1e6, Priority: 4, Classes: []qos.Class{{ID: 1, Apps: []uint8{9}}}})
	p := packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 80}
	equal(t, "before", k.arrive(k.lan, p.frame(t)).classOf(), 2)
	if ok, err := k.TellApp(endpoint(lan4, 1), endpoint(inet4, 80), 17, 9); err != nil || !ok {
		t.Fatal(ok, err)
	}
	equal(t, "after", k.arrive(k.lan, p.frame(t)).classOf(), 1)
	if ok, err := k.TellApp(endpoint(lan4, 2), endpoint(inet4, 80), 17, 9); err != nil || ok {
		t.Errorf("a flow that is not there: %v, %v", ok, err)
	}
}

// testFilters: HTB's question is answered by mark and address, with numbers of the
// table in force.
func testFilters(t *testing.T, k *kernel) {
	tv, other := qos.MAC{2, 0, 0, 0, 0, 0x77}, qos.MAC{2, 0, 0, 0, 0, 0x78}
	c := qos.Config{Upload: 1e6, Download: 1e6, Priority: 4, Classes: []qos.Class{{ID: 1}},
		Devices: []qos.Device{{MAC: other, Upload: 1e5, Priority: -1}, {MAC: tv, Download: 1e5, Priority: -1}}}
	k.shaped(c)
	up := from(packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 80}.frame(t), other)
	down := packet{src: inet4, dst: lan4, proto: udp, sport: 1, dport: 80}.frame(t)
	copy(down, tv[:])
	arp := slices.Clone(down)
	binary.BigEndian.PutUint16(arp[12:], 0x0806)
	for slot := range 2 {
		if slot > 0 {
			k.shapeBy(slot, c)
		}
		class := func(number uint32) uint32 { return 0x6e67<<16 | uint32(slot+1)<<12 | number }
		equal(t, "class of the mark", k.htb(qos.FilterLink, up, markJudged|1<<16|7), class(1))
		equal(t, "without a class", k.htb(qos.FilterLink, up, markJudged), class(2))
		equal(t, "not IP", k.htb(qos.FilterLink, arp, 0), uint32(0))
		equal(t, "upload", k.htb(qos.FilterUpload, up, 1<<16), class(2))
		equal(t, "upload to inside", k.htb(qos.FilterUpload, up, markJudged), uint32(0))
		equal(t, "upload of a device without", k.htb(qos.FilterUpload, from(slices.Clone(up), tv), 1<<16), uint32(0))
		equal(t, "download", k.htb(qos.FilterDownload, down, 1<<16), class(1))
		equal(t, "download from inside", k.htb(qos.FilterDownload, down, 0), uint32(0))
		equal(t, "download of a device without", k.htb(qos.FilterDownload, up, 1<<16), uint32(0))
	}
	if err := k.SetQoS(-1); err != nil {
		t.Fatal(err)
	}
	equal(t, "off", k.htb(qos.FilterLink, up, 1<<16), uint32(0))
}

// htb runs a filter, which answers an HTB class.
func (k *kernel) htb(f qos.Filter, frame []byte, mark uint32) uint32 {
	k.t.Helper()
	in := make([]byte, skbLength)
	binary.NativeEndian.PutUint32(in[skbMark:], mark)
	binary.NativeEndian.PutUint32(in[skbIfindex:], k.wan)
	program := map[qos.Filter]*ebpf.Program{qos.FilterLink: k.Dataplane.shape.Link, qos.FilterUpload: k.Dataplane.shape.Upload, qos.FilterDownload: k.Dataplane.shape.Download}[f]
	var rc uint32
	var err error
	k.in(func() { rc, err = program.Run(&ebpf.RunOptions{Data: frame, Context: in}) })
	if err != nil {
		k.t.Fatal(err)
	}
	return rc
}

func endpoint(addr string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
}

// testClassLikeReference: the programs choose as the plainest reading of the
// configuration does, for any configuration.
func testClassLikeReference(t *testing.T, k *kernel) {
	k.shaped(qos.Config{Upload: 1e6, Download: 1e6, Priority: 4})
	slot := 0
	ports := []uint16{1, 22, 53, 80, 443, 1024, 8080, 65535}
	macs := []qos.MAC{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 3}}
	rapid.Check(t, func(t *rapid.T) {
		c := qos.Config{Upload: 1e6, Download: 1e6, Priority: rapid.IntRange(0, 7).Draw(t, "priority")}
		for i := range rapid.IntRange(0, 6).Draw(t, "classes") {
			class := qos.Class{ID: int64(i + 1), Codepoints: rapid.SliceOfN(rapid.Uint8Range(0, 63), 0, 3).Draw(t, "codepoints")}
			for range rapid.IntRange(0, 3).Draw(t, "ranges") {
				a, b := rapid.SampledFrom(ports).Draw(t, "from"), rapid.SampledFrom(ports).Draw(t, "to")
				class.Ports = append(class.Ports, qos.PortRange{Protocol: rapid.SampledFrom([]uint8{0, 6, 17}).Draw(t, "protocol"), From: min(a, b), To: max(a, b)})
			}
			c.Classes = append(c.Classes, class)
		}
		for _, mac := range macs[:rapid.IntRange(0, len(macs)).Draw(t, "devices")] {
			c.Devices = append(c.Devices, qos.Device{MAC: mac, Priority: rapid.IntRange(-1, 7).Draw(t, "rank")})
		}
		slot = 1 - slot
		k.shapeBy(slot, c)
		for range 4 {
			mac := rapid.SampledFrom(macs).Draw(t, "mac")
			codepoint := rapid.Uint8Range(0, 63).Draw(t, "codepoint")
			port := rapid.SampledFrom(ports).Draw(t, "port")
			proto := rapid.SampledFrom([]layers.IPProtocol{tcp, udp, sctp}).Draw(t, "proto")
			p := packet{src: lan4, dst: inet4, proto: proto, sport: 40000, dport: port, flags: "S"}
			got := k.arrive(k.lan, from(marked(p.frame(k.t), codepoint), mac)).classOf()
			k.forget()
			if want := naive(c, uint8(proto), port, codepoint, mac); name(c, got) != want {
				t.Fatalf("%v port %d codepoint %d of %v: class %q, want %q, of %+v", proto, port, codepoint, mac, name(c, got), want, c)
			}
		}
	})
}

// naive reads the configuration as its documentation says.
func naive(c qos.Config, proto uint8, port uint16, codepoint uint8, mac qos.MAC) string {
	for _, class := range c.Classes {
		if slices.Contains(class.Codepoints, codepoint) {
			return fmt.Sprint("class ", class.ID)
		}
		for _, r := range class.Ports {
			if (proto == 6 || proto == 17) && (r.Protocol == 0 || r.Protocol == proto) && port >= r.From && port <= r.To {
				return fmt.Sprint("class ", class.ID)
			}
		}
	}
	for _, d := range c.Devices {
		if d.MAC == mac && d.Priority >= 0 {
			return fmt.Sprint("priority ", d.Priority)
		}
	}
	return fmt.Sprint("priority ", c.Priority)
}

// name is what a number in the mark stands for.
func name(c qos.Config, number int) string {
	if number >= 1 && number <= len(c.Classes) {
		return fmt.Sprint("class ", c.Classes[number-1].ID)
	}
	used := []int{c.Priority}
	for _, d := range c.Devices {
		if d.Priority >= 0 {
			used = append(used, d.Priority)
		}
	}
	slices.Sort(used)
	used = slices.Compact(used)
	if i := number - len(c.Classes) - 1; i >= 0 && i < len(used) {
		return fmt.Sprint("priority ", used[i])
	}
	return fmt.Sprint("number ", number)
}

// testTableReadBack: what is written is what is read.
func testTableReadBack(t *testing.T, k *kernel) {
	c := qos.Config{Priority: 2, Classes: []qos.Class{{ID: 1, Codepoints: []uint8{1}, Ports: []qos.PortRange{{From: 5, To: 9}}}},
		Devices: []qos.Device{{MAC: qos.MAC{2}, Upload: 1, Priority: -1}, {MAC: qos.MAC{4}, Download: 1, Priority: 7}}}
	for _, devices := range []int{2, 1, 0} {
		c.Devices = c.Devices[:devices]
		if err := k.SetQoSTable(1, qos.NewTable(c)); err != nil {
			t.Fatal(err)
		}
		got, err := k.QoSTable(1)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "table", got, qos.NewTable(c))
	}
	for _, slot := range []int{1, 0, -1} {
		if err := k.SetQoS(slot); err != nil {
			t.Fatal(err)
		}
		if s, err := k.QoS(); err != nil || s != slot {
			t.Error(s, err)
		}
	}
}
