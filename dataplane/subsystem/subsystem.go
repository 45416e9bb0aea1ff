// Package subsystem owns the question which parts of the kernel beside BPF are there
// that this project uses: queueing disciplines, devices, expressions of nftables,
// netlink families. They are modules or options, so any of them may be missing.
//
// Each is asked by doing with it what the router does, in a network namespace that
// is gone with the answer; nothing of the machine's own is touched. The kernel may
// load a module for the asking, as it would for the router.
//
// The package does not know what is lost without a part: that is who asks.
package subsystem

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrMissing is of a part that the kernel does not have.
var ErrMissing = errors.New("the kernel does not have it")

// Names of the parts.
const (
	HTB       = "sch_htb"
	FQCoDel   = "sch_fq_codel"
	Cake      = "sch_cake"
	Clsact    = "sch_clsact"
	BPFFilter = "cls_bpf"
	Mirred    = "act_mirred"
	IFB       = "ifb"
	VLAN      = "vlan"
	WireGuard = "wireguard"

	Backstop   = "nftables backstop" // the table of a router without NAT
	Masquerade = "nftables masquerade"
	PortNAT    = "nftables nat"    // dnat and snat, prefixes, maps
	ToldNAT    = "nftables labels" // conntrack's, which tell of sources
	ClampMSS   = "nftables mss"
	HandOver   = "nftables queue" // by its own statement or xtables' target

	Queue     = "nfqueue" // its other end
	Conntrack = "conntrack netlink"
)

// Probe asks for all: nil for what is there, an error that wraps ErrMissing for what
// is not, another where it cannot be told (os.ErrPermission without privileges).
func Probe() map[string]error {
	found := make(chan map[string]error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its namespace
		found <- ask()
	}()
	return <-found
}

// ask gives the calling thread a namespace of its own.
func ask() map[string]error {
	found := map[string]error{}
	err := unix.Unshare(unix.CLONE_NEWNET)
	if err != nil {
		err = fmt.Errorf("make a network namespace: %w", err)
	}
	for _, p := range probes {
		if found[p.name] = err; err == nil {
			found[p.name] = said(p.ask())
		}
	}
	return found
}

type probe struct {
	name string
	ask  func() error
}

// The order matters to none of them but for what they leave on lo.
var probes = []probe{
	{HTB, htb}, {FQCoDel, discipline("fq_codel")}, {Cake, discipline("cake")},
	{Clsact, clsact}, {BPFFilter, bpfFilter}, {Mirred, mirred},
	{IFB, device(func(a netlink.LinkAttrs) netlink.Link { return &netlink.Ifb{LinkAttrs: a} })},
	{VLAN, vlan},
	{WireGuard, device(func(a netlink.LinkAttrs) netlink.Link { return &netlink.Wireguard{LinkAttrs: a} })},
	{Backstop, backstop}, {Masquerade, masquerade}, {PortNAT, portNAT}, {ToldNAT, toldNAT}, {ClampMSS, clampMSS}, {HandOver, handOver},
	{Queue, queue}, {Conntrack, connections},
}

// said tells what is missing from what went wrong. Netlink answers ENOENT for an
// unknown discipline, classifier, action or expression, EOPNOTSUPP for an unknown
// kind of device, EPROTONOSUPPORT for an unknown family.
func said(err error) error {
	switch {
	case err == nil, errors.Is(err, os.ErrPermission):
		return err
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("%w (%w)", ErrMissing, err)
	}
	return fmt.Errorf("cannot be told: %w", err)
}
