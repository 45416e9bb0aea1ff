package qos

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// arrival has datagrams arrive at an interface, and sees that they are received.
type arrival struct {
	t      *testing.T
	link   netlink.Link
	socket *net.UDPConn
	inject func(packet []byte) error
}

func newArrival(t *testing.T, name string, inject func([]byte) error) *arrival {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := netlink.ParseAddr("192.0.2.1/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(netlink.AddrAdd(l, addr), netlink.LinkSetUp(l)); err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: addr.IP})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return &arrival{t, l, socket, inject}
}

func (a *arrival) receive() {
	a.t.Helper()
	to := a.socket.LocalAddr().(*net.UDPAddr)
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{192, 0, 2, 9}, DstIP: to.IP}
	udp := &layers.UDP{SrcPort: 9, DstPort: layers.UDPPort(to.Port)}
	udp.SetNetworkLayerForChecksum(ip)
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload("hello")); err != nil {
		a.t.Fatal(err)
	}
	// An interface that was just set up may lose the first ones.
	for end := time.Now().Add(20 * time.Second); ; {
		if err := a.inject(b.Bytes()); err != nil {
			a.t.Fatal(err)
		}
		a.socket.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := a.socket.Read(make([]byte, 100))
		if err == nil && n == 5 {
			return
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().After(end) {
			a.t.Fatal(n, err)
		}
	}
}

// etherArrival is by wan, which has Ethernet.
func etherArrival(t *testing.T) *arrival {
	t.Helper()
	raw, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(raw) })
	peer, err := netlink.LinkByName("wan-p")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(peer); err != nil {
		t.Fatal(err)
	}
	a := newArrival(t, "wan", nil)
	a.inject = func(packet []byte) error {
		frame := append(append(append([]byte{}, a.link.Attrs().HardwareAddr...), peer.Attrs().HardwareAddr...), 8, 0)
		return unix.Sendto(raw, append(frame, packet...), 0, &unix.SockaddrLinklayer{Ifindex: peer.Attrs().Index})
	}
	if err := netlink.NeighAdd(&netlink.Neigh{LinkIndex: a.link.Attrs().Index, IP: net.IP{192, 0, 2, 9}, HardwareAddr: peer.Attrs().HardwareAddr, State: unix.NUD_PERMANENT}); err != nil {
		t.Fatal(err)
	}
	return a
}

// through is how many packets have come by an ifb.
func through(t *testing.T, name string) uint64 {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Statistics.TxPackets
}

// TestRedirect: the kernel lets a packet program send arrivals through an ifb, and gives
// them back behind it with mark and priority as they were.
func TestRedirect(t *testing.T) {
	if !redirects() {
		t.Skip("SKIPPED: an ifb drops what programs redirect in this kernel, before 6.3")
	}
	inNamespace(t)
	a := etherArrival(t)
	a.receive()
	ifb, err := makeIFB("ngfw-q9")
	if err != nil {
		t.Fatal(err)
	}
	rc, err := a.socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// The socket takes what has this mark alone, which the program sets.
	const mark, priority, offMark, offPriority = 0x80150007, 0x4e000012, 8, 32 // offsets of struct __sk_buff
	filter, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, offMark, asm.Word), asm.LoadMem(asm.R3, asm.R1, offPriority, asm.Word),
		asm.Mov.Imm(asm.R0, 0), asm.LoadImm(asm.R4, mark, asm.DWord), asm.LoadImm(asm.R5, priority, asm.DWord),
		asm.JNE.Reg(asm.R2, asm.R4, "out"), asm.JNE.Reg(asm.R3, asm.R5, "out"), asm.Mov.Imm(asm.R0, -1), asm.Return().WithSymbol("out"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer filter.Close()
	if err := errors.Join(rc.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_BPF, filter.FD())
	}), err); err != nil {
		t.Fatal(err)
	}
	redirect, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.LoadImm(asm.R2, mark, asm.DWord), asm.StoreMem(asm.R1, offMark, asm.R2, asm.Word),
		asm.LoadImm(asm.R2, priority, asm.DWord), asm.StoreMem(asm.R1, offPriority, asm.R2, asm.Word),
		asm.Mov.Imm(asm.R1, int32(ifb.Attrs().Index)), asm.Mov.Imm(asm.R2, 0), asm.FnRedirect.Call(), asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer redirect.Close()
	clsact := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: a.link.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
	if err := errors.Join(netlink.QdiscAdd(clsact), netlink.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: a.link.Attrs().Index, Parent: netlink.HANDLE_MIN_INGRESS, Priority: 1, Protocol: unix.ETH_P_ALL},
		Fd:          redirect.FD(), Name: "redirect", DirectAction: true,
	})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if l, err := netlink.LinkByName("ngfw-q9"); t.Failed() && err == nil {
			t.Logf("%+v", *l.Attrs().Statistics)
		}
	})
	a.receive()
	if n := through(t, "ngfw-q9"); n == 0 {
		t.Errorf("no packet came by the ifb")
	}
}

// TestTunnel: an uplink without Ethernet headers is shaped too: what arrives there
// comes by the ifb, and is received.
func TestTunnel(t *testing.T) {
	p := inNamespace(t)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "ppp"
	tun := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TUN, Queues: 1, Flags: netlink.TUNTAP_NO_PI}
	if err := netlink.LinkAdd(tun); err != nil {
		t.Skipf("SKIPPED: no tun devices here: %v", err)
	}
	defer tun.Fds[0].Close()
	a := newArrival(t, "ppp", func(packet []byte) error {
		_, err := tun.Fds[0].Write(packet)
		return err
	})
	a.receive()
	s := New(Deps{Log: slog.New(slog.DiscardHandler), Programs: p})
	ports := Ports{Uplinks: []string{"ppp"}}
	for range 2 { // the second time all stands
		if err := s.Apply(simple, ports); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Degraded(); len(got) > 0 {
		t.Fatal(got)
	}
	a.receive()
	if n := through(t, ifbOf(a.link.Attrs().Index)); n == 0 {
		t.Errorf("no packet came by the ifb")
	}
	if err := s.Off(); err != nil {
		t.Fatal(err)
	}
	a.receive()
	queues, err := netlink.QdiscList(a.link)
	for _, q := range queues {
		if err != nil || q.Type() == "clsact" || q.Type() == "htb" {
			t.Errorf("left: %v, %v", q, err)
		}
	}
}

// TestMirror: where programs cannot redirect, mirred does for all.
func TestMirror(t *testing.T) {
	p := inNamespace(t)
	a := etherArrival(t)
	s := New(Deps{Log: slog.New(slog.DiscardHandler), Programs: p})
	s.mirror = true
	for range 2 {
		if err := s.Apply(withDevice(), ports); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Degraded(); len(got) > 0 {
		t.Fatal(got)
	}
	a.receive()
	if n := through(t, ifbOf(a.link.Attrs().Index)); n == 0 {
		t.Errorf("no packet came by the ifb")
	}
	for name, ifb := range map[string]string{"wan": ifbOf(a.link.Attrs().Index), "lan": ifbInside, "lan2": ifbInside} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if to, err := diverted(l); err != nil || to != index(t, ifb) {
			t.Errorf("%s: by %d, %v", name, to, err)
		}
	}
	if len(p.links) != 1 || p.links[a.link.Attrs().Index] != (Link{Uplink: true}) {
		t.Errorf("%+v", p.links)
	}
	if err := s.Apply(simple, ports); err != nil { // without the device
		t.Fatal(err)
	}
	lan, _ := netlink.LinkByName("lan")
	if to, err := diverted(lan); err != nil || to != 0 {
		t.Error(to, err)
	}
	if err := s.Off(); err != nil {
		t.Fatal(err)
	}
	a.receive()
	queues, err := netlink.QdiscList(nil)
	for _, q := range queues {
		if err != nil || q.Type() == "clsact" || q.Type() == "htb" {
			t.Errorf("left: %v, %v", q, err)
		}
	}
}
