// Package qos owns the kernel's traffic shaping for this router: HTB trees on the
// uplinks and their ifbs, and the tables by which the packet programs choose a
// packet's class.
//
// There are two stages. The link stage holds rates, guarantees and priorities of
// classes: upload as packets leave by an uplink, download as they arrive there, in
// an ifb that the ingress program sends them through. The device stage, nearer to
// the devices, holds the limit of each: download as packets leave for it, upload in
// an ifb, as they arrive from it. So both bounds hold for a packet of a limited
// device.
//
// A change builds a whole tree beside the old one, under the same qdisc with class
// numbers of its own, and is made with one store in the programs' word; a failure
// before it leaves all as it was. What is in force stays so without this process.
// Queueing disciplines of somebody else are never touched. Config, Table and the
// trees are plain values.
package qos

import (
	"slices"
)

// Config is what is shaped. Rates are bits a second.
type Config struct {
	Upload, Download uint64
	Queue            Queue
	Cake             CakeOptions
	Classes          []Class // in the order in which packets are compared with them
	Devices          []Device
	Priority         int // of what matches no class
}

// Class is a kind of traffic.
type Class struct {
	ID         int64
	Name       string
	Priority   int    // 0 to 7
	Guaranteed uint64 // 0: nothing
	Max        uint64 // 0: the link's
	Codepoints []uint8
	Ports      []PortRange
	Apps       []uint8 // numbers, as the programs are told of flows
}

// PortRange is destination ports of TCP (6), UDP (17) or, with 0, both.
type PortRange struct {
	Protocol uint8
	From, To uint16
}

// MAC is a device's address.
type MAC [6]byte

// Device is the limit of one.
type Device struct {
	MAC              MAC
	Upload, Download uint64 // 0: none
	Priority         int    // of its traffic that no class matches; -1: the usual
}

// Ports are the interfaces by name.
type Ports struct {
	Uplinks []string
	Inside  []string // behind which devices are
}

// MaxClasses is how many numbers the packet mark has, without those that
// priorities may need.
const MaxClasses = 31 - priorities

const (
	priorities = 8
	rootNumber = 0xfff // of a tree's root; leaves are numbered from 1
	maxDevices = 1024 / slots
	slots      = 2
	major      = 0x6e67 // as in bpf/abi/qos.h
)

func minor(slot int, number uint32) uint32 { return uint32(slot+1)<<12 | number }

// handle is that of a class, as tc writes it: 6e67:1001.
func handle(slot int, number uint32) uint32 { return major<<16 | minor(slot, number) }

// numbers are what classes are called in mark and tree: each by its place, then a
// number for each priority that traffic without a class may have.
type numbers struct {
	classes int
	rest    map[int]uint32 // priority → number
}

func number(c Config) numbers {
	n := numbers{classes: len(c.Classes), rest: map[int]uint32{}}
	used := []int{c.Priority}
	for _, d := range c.Devices {
		if d.Priority >= 0 {
			used = append(used, d.Priority)
		}
	}
	slices.Sort(used)
	for _, p := range slices.Compact(used) {
		n.rest[p] = uint32(n.classes + len(n.rest) + 1)
	}
	return n
}

// devices in the order of their addresses, which numbers them from 1.
func (c Config) devices() []Device {
	out := slices.Clone(c.Devices)
	slices.SortFunc(out, func(a, b Device) int { return slices.Compare(a.MAC[:], b.MAC[:]) })
	return out
}

func (c Config) limits(upload bool) bool {
	return slices.ContainsFunc(c.Devices, func(d Device) bool {
		return upload && d.Upload > 0 || !upload && d.Download > 0
	})
}
