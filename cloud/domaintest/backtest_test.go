package domaintest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"ngfw.sh/cloud/api/wirejson"
	"ngfw.sh/cloud/firewall"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store/storetest"
	"ngfw.sh/internal/fault"
	"ngfw.sh/lab/labtest"
	"ngfw.sh/policy"
	"ngfw.sh/policy/backtest"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// traffic is a record of flows for tests.
type traffic struct {
	records []backtest.Record
	asked   []firewall.RecordedQuery
	by      []string // organisations
	err     error
	hold    chan struct{} // closed: goes on; nil: does not wait
}

func (t *traffic) Recorded(ctx context.Context, q firewall.RecordedQuery, each func(backtest.Record, uint64) error) error {
	c, _ := identity.From(ctx)
	t.asked, t.by = append(t.asked, q), append(t.by, c.OrgID)
	if t.hold != nil {
		select {
		case <-t.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, r := range t.records {
		if r.LastSeen.Before(q.From) || !r.LastSeen.Before(q.To) {
			continue
		}
		if err := each(r, 2); err != nil {
			return err
		}
	}
	return t.err
}

func web(client string, bytes uint64) backtest.Record {
	return backtest.Record{
		Packet: policy.Packet{
			In: "lan0", Out: "wan", Src: netip.MustParseAddr(client), Dst: netip.MustParseAddr("203.0.113.1"), Protocol: 6, DstPort: 80,
		},
		App: "http", Bytes: bytes, Connections: 1, LastSeen: time.Unix(1000, 5e8), Example: "row-of-" + client,
	}
}

func asStruct(t *testing.T, v map[string]any) *structpb.Value {
	t.Helper()
	out, err := structpb.NewValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func runOperations(t *testing.T, p *process) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.operations.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (p *process) finished(t *testing.T, org, id string) *ngfwv1.AsyncOperation {
	t.Helper()
	var o *ngfwv1.AsyncOperation
	labtest.Eventually(t, 20*time.Second, func() (err error) {
		if o, err = p.operations.ReadOperation(as(org), &ngfwv1.OperationRequest{Id: id}); err == nil && o.FinishedAt == nil {
			err = errors.New("it goes on")
		}
		return err
	})
	return o
}

func code(err error) fault.Code {
	if f, ok := fault.As(err); ok {
		return f.Code
	}
	return ""
}

func TestBacktest(t *testing.T) {
	p, path := newProcess(t)
	device := p.register(t, "a", "edge").Id
	for name, link := range map[string]string{"LAN": "lan0", "WAN": "wan"} {
		zone := p.zone(t, device, name)
		zone.Interfaces = []string{link}
		if _, err := p.firewall.UpdateZone(as("a"), &ngfwv1.UpdateZoneRequest{DeviceId: device, Id: zone.Id, Zone: zone}); err != nil {
			t.Fatal(err)
		}
	}
	stop := runOperations(t, p)
	p.traffic.records = []backtest.Record{web("10.77.1.10", 5_000_000_000), web("10.77.1.20", 7_000_000_000)}
	change := &ngfwv1.PolicyChange{Op: "create", Resource: "rule", Body: asStruct(t, map[string]any{
		"name": "cut", "zone_from": "LAN", "zone_to": "WAN", "action": "drop", "source": "10.77.1.20", "protocol": "tcp", "port": "80",
	})}
	started, err := p.firewall.Backtest(as("a"), &ngfwv1.BacktestRequest{DeviceId: device, Change: change, From: proto.Float64(100), To: proto.Float64(4000.5)})
	if err != nil {
		t.Fatal(err)
	}
	o := p.finished(t, "a", started.OperationId)
	if o.Status != "done" || o.Kind != "backtest" || o.GetProgress() != 1 || o.Error != nil {
		t.Fatalf("%v", o)
	}
	want := &structpb.Struct{}
	if err := want.UnmarshalJSON([]byte(`{
		"blocked":[{"client":"10.77.1.20","destination":"203.0.113.1","protocol":"tcp","port":80,"app":"http","action":"drop","rule_id":1,
			"decided_by":"rule","bytes":7000000000,"connections":1,"last_seen":1000.5,"examples":["row-of-10.77.1.20"]}],
		"allowed":[],"uncertain":[],
		"totals":{"blocked":{"bytes":7000000000,"connections":1,"unlisted":0},"allowed":{"bytes":0,"connections":0,"unlisted":0},"uncertain":{"bytes":0,"connections":0,"unlisted":0}},
		"from":100,"to":4000,"rows":4,"judged":2}`)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, o.Result, protocmp.Transform()); d != "" {
		t.Errorf("%s\n%s", d, wirejson.Append(nil, o))
	}
	// The latest first, and without a gap.
	next := time.UnixMilli(4000500)
	for i, q := range p.traffic.asked {
		if q.DeviceID != device || !q.To.Equal(next) || !q.From.Before(q.To) || q.Minutes || p.traffic.by[i] != "a" {
			t.Errorf("asked %+v of %q", q, p.traffic.by[i])
		}
		next = q.From
	}
	if n := len(p.traffic.asked); next.Unix() != 100 || n != 6 {
		t.Errorf("asked %d times, from %v on", n, next)
	}

	t.Run("progress", func(t *testing.T) {
		p.traffic.hold = make(chan struct{})
		started, err := p.firewall.Backtest(as("a"), &ngfwv1.BacktestRequest{DeviceId: device, Change: change, From: proto.Float64(100), To: proto.Float64(4000.5)})
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			p.traffic.hold <- struct{}{}
		}
		labtest.Eventually(t, 20*time.Second, func() error {
			o, err := p.operations.ReadOperation(as("a"), &ngfwv1.OperationRequest{Id: started.OperationId})
			if err == nil && (o.Status != "running" || o.GetProgress() != 4.0/6) {
				err = fmt.Errorf("%s at %v", o.Status, o.GetProgress())
			}
			return err
		})
		close(p.traffic.hold)
		if o := p.finished(t, "a", started.OperationId); o.Status != "done" || o.GetProgress() != 1 {
			t.Errorf("%v", o)
		}
		p.traffic.hold = nil
	})

	t.Run("another organisation sees nothing", func(t *testing.T) {
		if _, err := p.operations.ReadOperation(as("b"), &ngfwv1.OperationRequest{Id: started.OperationId}); code(err) != fault.NotFound {
			t.Error(err)
		}
		if _, err := p.firewall.Backtest(as("b"), &ngfwv1.BacktestRequest{DeviceId: device, Change: change}); code(err) != fault.Forbidden {
			t.Error(err)
		}
	})
	t.Run("bad requests", func(t *testing.T) {
		for said, r := range map[string]*ngfwv1.BacktestRequest{
			"say either policy or change": {},
			"change.body.zone_to":         {Change: &ngfwv1.PolicyChange{Op: "create", Resource: "rule", Body: asStruct(t, map[string]any{"name": "x", "zone_from": "LAN", "zone_to": "NOWHERE", "action": "drop"})}},
			"from: must lie before to":    {Change: change, From: proto.Float64(10), To: proto.Float64(10)},
			"from: lies in the future":    {Change: change, From: proto.Float64(4e9), To: proto.Float64(4.1e9)},
			"92 days":                     {Change: change, From: proto.Float64(0)},
			"from: is not a time":         {Change: change, From: proto.Float64(-1)},
		} {
			r.DeviceId = device
			if _, err := p.firewall.Backtest(as("a"), r); err == nil || !strings.Contains(err.Error(), said) {
				t.Errorf("%v, want %q", err, said)
			}
		}
	})
	t.Run("failures are told or hidden", func(t *testing.T) {
		for _, tt := range []struct {
			err        error
			code, said string
		}{
			{fault.New(fault.Unavailable, "the engine is away"), "UNAVAILABLE", "the engine is away"},
			{errors.New("secret path"), "INTERNAL_ERROR", "an internal error"},
		} {
			p.traffic.err = tt.err
			started, err := p.firewall.Backtest(as("a"), &ngfwv1.BacktestRequest{DeviceId: device, Change: change})
			if err != nil {
				t.Fatal(err)
			}
			o := p.finished(t, "a", started.OperationId)
			if o.Status != "failed" || o.GetError().GetCode() != tt.code || o.GetError().GetMessage() != tt.said || o.Result != nil {
				t.Errorf("%v", o)
			}
		}
		p.traffic.err = nil
	})
	t.Run("a few at a time, and those of an ended process have failed", func(t *testing.T) {
		p.traffic.hold = make(chan struct{})
		var ids []string
		for range 2 {
			started, err := p.firewall.Backtest(as("a"), &ngfwv1.BacktestRequest{DeviceId: device, Change: change})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, started.OperationId)
		}
		if _, err := p.firewall.Backtest(as("a"), &ngfwv1.BacktestRequest{DeviceId: device, Change: change}); code(err) != fault.Unavailable {
			t.Error(err)
		}
		stop()
		for _, id := range ids {
			if o := p.finished(t, "a", id); o.Status != "failed" || !strings.Contains(o.GetError().GetMessage(), "begin it again") {
				t.Errorf("%v", o)
			}
		}
		// Killed before it could note the end.
		left, err := p.firewall.Backtest(as("a"), &ngfwv1.BacktestRequest{DeviceId: device, Change: change})
		if err != nil {
			t.Fatal(err)
		}
		p.store.Close()
		again := start(storetest.Reopen(t, path))
		runOperations(t, again)
		if o := again.finished(t, "a", left.OperationId); o.Status != "failed" {
			t.Errorf("%v", o)
		}
	})
}
