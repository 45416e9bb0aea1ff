package liveframe

import (
	"encoding/binary"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"ngfw.sh/lab"
)

// The frame: 64 bytes of Ethernet, IPv4, UDP, zeros. Numbers are offsets.
const (
	frameSize  = 64
	firstTTL   = 64
	ethDst     = 0
	ethSrc     = 6
	ipHeader   = 14
	ipChecksum = ipHeader + 10
	ipSrc      = ipHeader + 12
	ipDst      = ipHeader + 16
	udpHeader  = ipHeader + 20
	udpSum     = udpHeader + 6
	headersEnd = udpHeader + 8
)

// A flow's number is its source: the low 14 bits in the port, the rest in the
// address.
const (
	portBits  = 14
	firstPort = 10_000
	destPort  = 9 // discard
	sources   = MaxFlows >> portBits
)

// Actions of an XDP program (linux/bpf.h).
const (
	xdpAborted = 0
	xdpDrop    = 1
	xdpPass    = 2
)

// source is the n-th source address.
func source(n int) netip.Addr {
	a := lab.IP4(lab.LAN1).As4()
	a[3] += byte(n)
	return netip.AddrFrom4(a)
}

// template is the frame of flow 0 without its source's last byte and port, and
// without checksums.
func template() []byte {
	client, _ := lab.SegmentOf(lab.LAN1)
	f := make([]byte, frameSize)
	copy(f[ethDst:], client.RouterMAC)
	copy(f[ethSrc:], client.HostMAC)
	binary.BigEndian.PutUint16(f[12:], 0x0800)
	f[ipHeader] = 0x45
	binary.BigEndian.PutUint16(f[ipHeader+2:], frameSize-ipHeader)
	f[ipHeader+6] = 0x40 // don't fragment
	f[ipHeader+8] = firstTTL
	f[ipHeader+9] = 17 // UDP
	src, dst := source(0).As4(), lab.IP4(lab.INET).As4()
	src[3] = 0
	copy(f[ipSrc:], src[:])
	copy(f[ipDst:], dst[:])
	binary.BigEndian.PutUint16(f[udpHeader+2:], destPort)
	binary.BigEndian.PutUint16(f[udpHeader+4:], frameSize-udpHeader)
	return f
}

// generatorProgram writes the headers anew into each frame (the kernel does not
// restore what an earlier journey changed), gives it the next flow's source, and
// sends it out of the port. counter holds the number of the next frame.
func generatorProgram(port, flows int, counter *ebpf.Map) asm.Instructions {
	frame := template()
	src := source(0).As4()
	insns := asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word), // data
		asm.LoadMem(asm.R7, asm.R1, 4, asm.Word), // data_end
		asm.Mov.Reg(asm.R2, asm.R6),
		asm.Add.Imm(asm.R2, frameSize),
		asm.JGT.Reg(asm.R2, asm.R7, "abort"),
		asm.LoadMapValue(asm.R3, counter.FD(), 0),
		asm.LoadMem(asm.R4, asm.R3, 0, asm.DWord),
		asm.Mov.Reg(asm.R5, asm.R4),
		asm.Add.Imm(asm.R5, 1),
		asm.StoreMem(asm.R3, 0, asm.R5, asm.DWord),
		asm.And.Imm(asm.R4, int32(flows-1)),
	}
	for at := 0; at < 40; at += 8 {
		insns = append(insns,
			asm.LoadImm(asm.R5, int64(binary.LittleEndian.Uint64(frame[at:])), asm.DWord),
			asm.StoreMem(asm.R6, int16(at), asm.R5, asm.DWord),
		)
	}
	for at, size := headersEnd, asm.Word; at < frameSize; at += size.Sizeof() {
		for at+size.Sizeof() > frameSize {
			size = asm.Half
		}
		insns = append(insns, asm.StoreImm(asm.R6, int16(at), 0, size))
	}
	insns = append(insns,
		// The source's last byte, and the checksum with it (RFC 1071: a sum of
		// words in either byte order).
		asm.Mov.Reg(asm.R5, asm.R4),
		asm.RSh.Imm(asm.R5, portBits),
		asm.Add.Imm(asm.R5, int32(src[3])),
		asm.StoreMem(asm.R6, ipSrc+3, asm.R5, asm.Byte),
		asm.LSh.Imm(asm.R5, 8),
		asm.Mov.Reg(asm.R9, asm.R5),
		asm.Add.Imm(asm.R5, sum(frame[ipHeader:udpHeader])),
	)
	insns = append(append(insns, fold(asm.R5)...),
		asm.Xor.Imm(asm.R5, 0xffff),
		asm.StoreMem(asm.R6, ipChecksum, asm.R5, asm.Half),

		asm.And.Imm(asm.R4, 1<<portBits-1),
		asm.Add.Imm(asm.R4, firstPort),
		asm.HostTo(asm.BE, asm.R4, asm.Half),
		asm.StoreMem(asm.R6, udpHeader, asm.R4, asm.Half),
		asm.Add.Reg(asm.R4, asm.R9),
		asm.Add.Imm(asm.R4, sum(frame[ipSrc:])+pseudoHeader()),
	)
	// It is not 0 for any of the flows, which would be no checksum; a test sees.
	return append(append(insns, fold(asm.R4)...),
		asm.Xor.Imm(asm.R4, 0xffff),
		asm.StoreMem(asm.R6, udpSum, asm.R4, asm.Half),

		asm.Mov.Imm(asm.R1, int32(port)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpAborted).WithSymbol("abort"),
		asm.Return(),
	)
}

// fold makes a sum of few words one word (RFC 1071). It uses R8.
func fold(r asm.Register) asm.Instructions {
	once := asm.Instructions{
		asm.Mov.Reg(asm.R8, r),
		asm.RSh.Imm(asm.R8, 16),
		asm.And.Imm(r, 0xffff),
		asm.Add.Reg(r, asm.R8),
	}
	return append(once, once...)
}

// pseudoHeader is what UDP's checksum covers beside addresses and datagram.
func pseudoHeader() int32 {
	b := []byte{0, 17, 0, 0}
	binary.BigEndian.PutUint16(b[2:], frameSize-udpHeader)
	return sum(b)
}

// sum adds the words of a header, little-endian, as the program does.
func sum(header []byte) (s int32) {
	for i := 0; i < len(header); i += 2 {
		s += int32(binary.LittleEndian.Uint16(header[i:]))
	}
	return s
}

// onlyOurs passes everything that is not one of the generator's frames (ARP and
// neighbour discovery must work), and leaves data in R6.
func onlyOurs() asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R7, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R2, asm.R6),
		asm.Add.Imm(asm.R2, frameSize),
		asm.JGT.Reg(asm.R2, asm.R7, "pass"),
		asm.LoadMem(asm.R3, asm.R6, ipHeader+9, asm.Byte),
		asm.JNE.Imm(asm.R3, 17, "pass"),
		asm.LoadMem(asm.R3, asm.R6, ipHeader+2, asm.Half),
		asm.JNE.Imm(asm.R3, int32(binary.LittleEndian.Uint16(template()[ipHeader+2:])), "pass"),
	}
}

func pass() asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"), asm.Return()}
}

// arrival is how frames shall arrive at a sink.
type arrival struct {
	ttl    byte
	source netip.Addr // invalid: whatever it is
}

// sinkProgram counts the generator's frames and drops them. Those that arrive as
// they should, with good checksums, it counts once more.
func sinkProgram(counter *ebpf.Map, want arrival) asm.Instructions {
	count := func(at int16) asm.Instructions {
		return asm.Instructions{
			asm.LoadMapValue(asm.R3, counter.FD(), 0),
			asm.LoadMem(asm.R4, asm.R3, at, asm.DWord),
			asm.Add.Imm(asm.R4, 1),
			asm.StoreMem(asm.R3, at, asm.R4, asm.DWord),
		}
	}
	insns := append(onlyOurs(), count(0)...)
	insns = append(insns, asm.LoadMem(asm.R3, asm.R6, ipHeader+8, asm.Byte), asm.JNE.Imm(asm.R3, int32(want.ttl), "drop"))
	if want.source.IsValid() {
		insns = append(insns,
			asm.LoadMem(asm.R3, asm.R6, ipSrc, asm.Word),
			asm.LoadImm(asm.R4, int64(binary.LittleEndian.Uint32(want.source.AsSlice())), asm.DWord),
			asm.JNE.Reg(asm.R3, asm.R4, "drop"),
		)
	}
	good := func(start int32, from, to int16) {
		insns = append(insns, asm.Mov.Imm(asm.R5, start))
		for at := from; at < to; at += 2 {
			insns = append(insns, asm.LoadMem(asm.R3, asm.R6, at, asm.Half), asm.Add.Reg(asm.R5, asm.R3))
		}
		insns = append(append(insns, fold(asm.R5)...), asm.JNE.Imm(asm.R5, 0xffff, "drop"))
	}
	good(0, ipHeader, udpHeader)
	good(pseudoHeader(), ipSrc, frameSize)
	insns = append(insns, count(8)...)
	insns = append(insns, asm.Mov.Imm(asm.R0, xdpDrop).WithSymbol("drop"), asm.Return())
	return append(insns, pass()...)
}

// mirrorProgram sends the generator's frames back out of the port that they came
// in by. It redirects: XDP_TX on a veth stays in the ring of a peer that has no
// XDP program (veth_xdp_flush). Swapping addresses changes no checksum.
func mirrorProgram(port int) asm.Instructions {
	insns := onlyOurs()
	swap := func(a, b int16, size asm.Size) {
		insns = append(insns,
			asm.LoadMem(asm.R3, asm.R6, a, size),
			asm.LoadMem(asm.R4, asm.R6, b, size),
			asm.StoreMem(asm.R6, a, asm.R4, size),
			asm.StoreMem(asm.R6, b, asm.R3, size),
		)
	}
	swap(ethDst, ethSrc, asm.Word)
	swap(ethDst+4, ethSrc+4, asm.Half)
	swap(ipSrc, ipDst, asm.Word)
	swap(udpHeader, udpHeader+2, asm.Half)
	insns = append(insns,
		asm.Mov.Imm(asm.R1, int32(port)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
	)
	return append(insns, pass()...)
}
