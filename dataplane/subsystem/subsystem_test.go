package subsystem

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// What is answered is what others' tools meet in the same kernel.
func TestProbeAgreesWithTools(t *testing.T) {
	l := labtest.New(t)
	found := Probe()
	if len(found) != len(probes) {
		t.Errorf("%d answers to %d questions", len(found), len(probes))
	}
	tools := map[string][]string{
		HTB: {"tc qdisc add dev lan1 root htb"}, FQCoDel: {"tc qdisc add dev lan1 root fq_codel"}, Cake: {"tc qdisc add dev lan1 root cake"},
		Clsact: {"tc qdisc add dev lan1 clsact"}, IFB: {"ip link add probe type ifb"}, WireGuard: {"ip link add probe type wireguard"},
		Mirred:     {"tc qdisc add dev lan1 clsact", "tc filter add dev lan1 ingress prio 1 u32 match u32 0 0 action mirred egress redirect dev lan2"},
		VLAN:       {"ip link add link lan1 name probe type vlan id 7"},
		Backstop:   {"nft add table inet p", "nft add chain inet p c { type nat hook postrouting priority srcnat ; }", "nft add rule inet p c ct state invalid limit rate 1/second counter", "nft add chain inet p d { type filter hook forward priority 0 ; }", "nft add rule inet p d reject"},
		Masquerade: {"nft add table inet p", "nft add chain inet p c { type nat hook postrouting priority srcnat ; }", "nft add rule inet p c masquerade"},
		PortNAT:    {"nft add table inet p", "nft add chain inet p c { type nat hook postrouting priority srcnat ; }", "nft add rule inet p c snat ip to 192.0.2.1"},
		ToldNAT:    {"nft add table inet p", "nft add chain inet p c { type nat hook prerouting priority dstnat ; }", "nft add rule inet p c ct label set 12"},
		ClampMSS:   {"nft add table inet p", "nft add chain inet p c { type filter hook forward priority 0 ; }", "nft add rule inet p c tcp flags syn tcp option maxseg size set rt mtu"},
	}
	for name, commands := range tools {
		var failed error
		for _, c := range commands {
			if _, err := l.TryExec(lab.RTR, strings.Fields(c)...); err != nil {
				failed = err
				break
			}
		}
		for _, c := range []string{"tc qdisc del dev lan1 root", "tc qdisc del dev lan1 clsact", "ip link del probe", "nft delete table inet p"} {
			l.TryExec(lab.RTR, strings.Fields(c)...) // what is not there need not go
		}
		err := found[name]
		if (err == nil) != (failed == nil) || err != nil && !errors.Is(err, ErrMissing) {
			t.Errorf("%s: %v; tools: %v", name, err, failed)
		}
		t.Logf("%s: %v", name, err)
	}
	// Where this package's tests run, routers run: what nothing goes without is there.
	for _, name := range []string{HTB, Clsact, BPFFilter, IFB, Backstop, Masquerade, PortNAT, ToldNAT, ClampMSS, HandOver, Queue, Conntrack} {
		if found[name] != nil {
			t.Errorf("%s: %v", name, found[name])
		}
	}
	if out, err := l.TryExec(lab.RTR, "nft", "list", "tables"); err != nil || strings.Contains(out, "ngfw") {
		t.Errorf("something was left: %v %s", err, out)
	}
}

// Without privileges the answer is that it cannot be told.
func TestProbeWithoutPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, to give it up")
	}
	found := make(chan map[string]error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends without its capabilities
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capset(&header, &make([]unix.CapUserData, 2)[0]); err != nil {
			t.Error(err)
		}
		found <- ask()
	}()
	for name, err := range <-found {
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := said(unix.EPERM); !errors.Is(err, os.ErrPermission) || errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	if err := said(unix.EBUSY); errors.Is(err, ErrMissing) || err == nil {
		t.Error(err)
	}
}
