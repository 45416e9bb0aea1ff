package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// TestFullDisk gives the agent's spool a disk of a few pages and takes the way
// to the cloud away: packets go on, status says what is wrong, and what was
// told arrives once when the way is back.
func TestFullDisk(t *testing.T) {
	r := start(t)
	spool := filepath.Join(r.dir, "agent", "state", "spool")
	restore := r.withhold("ngfw-agent")
	r.kill(r.process("agent"))
	// What is there is taken along.
	kept := spool + ".kept"
	if out, err := exec.Command("cp", "-a", spool, kept).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := unix.Mount("spool", spool, "tmpfs", 0, "size=32k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(spool, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if out, err := exec.Command("cp", "-a", kept+"/.", spool).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	os.RemoveAll(kept)
	restore()
	r.api.awaitSynced(t)

	short := r.keepBooks(t, lab.LAN1, "10.77.1.20")
	stop := short.keepOn(t, 50_000)
	r.must(lab.RTR, "ip", "link", "set", "mgmt0", "down")
	t.Cleanup(func() { r.exec(lab.RTR, "ip", "link", "set", "mgmt0", "up") })
	// Flows until the disk is full.
	r.must(lab.LAN1, "ip", "address", "add", "10.77.1.30/24", "dev", lab.HostPort)
	flows := 0
	labtest.Eventually(t, 2*patience, func() error {
		r.ask(t, netip.MustParseAddr("10.77.1.30"), 20000+flows, 500)
		flows += 500
		if s := r.spool(t); s.Error == "" {
			return fmt.Errorf("the disk is not full after %d flows: %+v", flows, s)
		}
		return nil
	})
	full := r.spool(t)
	t.Logf("after %d flows: %+v", flows, full)
	if n := metric(t, r.agentMetrics(), "ngfw_spool_write_failing"); n != 1 {
		t.Errorf("ngfw_spool_write_failing is %v", n)
	}
	if err := r.fetch(lab.LAN2, r.env["NGFW_LAB_HTTP"]); err != nil {
		t.Errorf("packets do not go on: %v", err)
	}
	r.ask(t, netip.MustParseAddr("10.77.1.30"), 20000+flows, 500)
	flows += 500

	r.must(lab.RTR, "ip", "link", "set", "mgmt0", "up")
	stop()
	short.balance(t)
	labtest.Eventually(t, 2*patience, func() error {
		rows, err := r.api.rows(t, url.Values{"src": {"10.77.1.30"}, "event": {"open"}, "proto": {"udp"}})
		if err != nil {
			return err
		}
		ports := map[int]int{}
		for _, e := range rows {
			if ports[e.SourcePort]++; ports[e.SourcePort] > 1 {
				t.Fatalf("the flow from port %d is told twice", e.SourcePort)
			}
		}
		// What found no room is counted; everything else is there.
		if given := r.spool(t).DroppedRows; len(ports) < flows && int64(len(ports))+given < int64(flows) || len(ports) > flows {
			return fmt.Errorf("%d flows of %d are told, %d rows were given up", len(ports), flows, given)
		}
		return nil
	})
	// Somebody makes room.
	if err := unix.Mount("spool", spool, "tmpfs", unix.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	labtest.Eventually(t, patience, func() error {
		if s := r.spool(t); s.Error != "" || s.Batches != 0 {
			return fmt.Errorf("the disk has room, and the spool is %+v", s)
		}
		return nil
	})
	t.Logf("at the end: %+v", r.spool(t))
}

// spoolStatus is what `ngfw-agent status` says of the spool.
type spoolStatus struct {
	Batches     int64
	DroppedRows int64 `json:"dropped_rows"`
	Error       string
}

func (r *run) spool(t *testing.T) spoolStatus {
	t.Helper()
	out, err := exec.Command(filepath.Join(r.bin, "ngfw-agent"), "status", "-o", "json", "--config", filepath.Join(r.dir, "agent", "agent.yaml")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ Spool spoolStatus }
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatal(err)
	}
	return s.Spool
}

// ask asks inet's name server n questions, each from a port and so by a flow of
// its own.
func (r *run) ask(t *testing.T, from netip.Addr, port, n int) {
	t.Helper()
	question, err := new(dns.Msg).SetQuestion("web.lab.test.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	server := net.UDPAddrFromAddrPort(netip.AddrPortFrom(lab.IP4(lab.INET), 53))
	answer := make([]byte, 1500)
	for i := range n {
		var conn *net.UDPConn
		if err := r.lab.In(lab.LAN1, func() (err error) {
			conn, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, uint16(port+i))), server)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		if _, err = conn.Write(question); err == nil {
			_, err = conn.Read(answer)
		}
		conn.Close()
		if err != nil {
			t.Fatalf("question %d: %v", i, err)
		}
	}
}
