package control

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

var sample = Status{
	Version: "v1", PID: 12, Started: 1703520000, PolicyRevision: 7,
	Link:       Link{State: "connected", Server: "grpcs://c:1"},
	Programs:   []Program{{Interface: "eth0", Zone: "WAN", XDP: "native", TC: "tcx"}},
	Inspection: Inspection{Mode: "detect", FailOpen: true, Rules: 3, Queues: []MatcherQueue{{Number: "4100", Bound: true, Packets: 4}}},
	Degraded:   []string{"xdp:eth1: generic mode"},
	Spool:      Spool{Bytes: 10, Batches: 1},
	Counters:   Counters{Packets: 5, Drops: map[string]int64{"rule": 2}},
}

// serve runs a server until the returned function is called.
func serve(t *testing.T, socket string) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(Config{Socket: socket}, Deps{Status: func() Status { return sample }}).Run(ctx) }()
	t.Cleanup(cancel)
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, err := Query(ctx, socket); err == nil {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("run ended: %v", err)
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("no answer within 10 s")
		}
	}
	return func() error { cancel(); return <-done }
}

func TestStatusOverSocket(t *testing.T) {
	old := syscall.Umask(0) // the mode must not hang on it
	t.Cleanup(func() { syscall.Umask(old) })
	socket := filepath.Join(t.TempDir(), "state", "agent.sock")
	stop := serve(t, socket)
	got, err := Query(context.Background(), socket)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}

	other := New(Config{Socket: socket}, Deps{Status: func() Status { return Status{} }})
	if err := other.Run(context.Background()); !errors.Is(err, ErrRunning) {
		t.Errorf("a second server: %v", err)
	}
	if _, err := Query(context.Background(), socket); err != nil {
		t.Errorf("the second server disturbed the first: %v", err)
	}

	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stays: %v", err)
	}
	if _, err := Query(context.Background(), socket); !errors.Is(err, ErrNotRunning) {
		t.Errorf("query of a stopped agent: %v", err)
	}
}

// A killed agent leaves its socket behind.
func TestLeftoverSocketIsReplaced(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if _, err := Query(context.Background(), socket); !errors.Is(err, ErrNotRunning) {
		t.Errorf("query of a killed agent: %v", err)
	}
	if err := serve(t, socket)(); err != nil {
		t.Error(err)
	}
}

func TestForeignFileIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := New(Config{Socket: path}, Deps{}).Run(context.Background())
	if err == nil {
		t.Fatal("replaced a file that is no socket")
	}
	if b, _ := os.ReadFile(path); string(b) != "mine" {
		t.Errorf("the file holds %q", b)
	}
}

func TestTake(t *testing.T) {
	var s Status
	s.Take(&ngfwv1.Dataplane{
		PolicyRevision: 3, Packets: 1, Bytes: 2, Flows: 4, EventsLost: 5, Drops: map[string]int64{"x": 6}, Degraded: []string{"d"},
		Spool: &ngfwv1.Spool{Bytes: 7, Batches: 8, DroppedBatches: 9, DroppedRows: 10, Error: "full"},
	})
	want := Status{
		PolicyRevision: 3, Degraded: []string{"d"},
		Spool:    Spool{Bytes: 7, Batches: 8, DroppedBatches: 9, DroppedRows: 10, Error: "full"},
		Counters: Counters{Packets: 1, Bytes: 2, Flows: 4, EventsLost: 5, Drops: map[string]int64{"x": 6}},
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	s.Take(nil) // the packet programs are not loaded
	if s.PolicyRevision != 0 {
		t.Error("a revision without programs")
	}
}

func TestAbsentListsAreEmpty(t *testing.T) {
	b, err := json.Marshal(Status{}.complete())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "null") {
		t.Errorf("%s", b)
	}
}

func TestSimulateOverSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent.sock")
	var asked []policy.Packet
	answer := policy.Explanation{Action: policy.Drop, Reason: "default", PolicyRevision: 3, Stages: []policy.Stage{{Stage: "default", Result: "drop", Reason: "nothing accepts it"}}}
	var fails error
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	server := New(Config{Socket: socket}, Deps{Status: func() Status { return sample }, Simulate: func(p policy.Packet) (policy.Explanation, error) {
		asked = append(asked, p)
		return answer, fails
	}})
	go func() { done <- server.Run(ctx) }()
	defer func() { cancel(); <-done }()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := Query(ctx, socket); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	packet := policy.Packet{
		In: "eth0", Out: "self", Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), Protocol: policy.ProtocolTCP, SrcPort: 1, DstPort: 22,
		SrcMAC: policy.MAC{2, 0, 0, 0, 0, 1}, VLAN: 7, Time: time.Unix(1700000000, 0),
	}
	got, err := Simulate(ctx, socket, packet)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(answer, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]policy.Packet{packet}, asked, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	fails = fault.New(fault.Conflict, "no policy is enforced yet")
	if _, err := Simulate(ctx, socket, packet); !fault.Is(err, fault.Conflict) || err.Error() != "no policy is enforced yet" {
		t.Errorf("%v", err)
	}
	fails = errors.New("kernel says no")
	if _, err := Simulate(ctx, socket, packet); !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), "kernel says no") {
		t.Errorf("%v", err)
	}
	packet.In = ""
	if _, err := Simulate(ctx, socket, packet); err == nil || len(asked) != 3 {
		t.Errorf("a packet from nowhere was taken: %v", err)
	}
}
