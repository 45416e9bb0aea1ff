package analytics

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func export(t *testing.T, db *DB, orgID string, r *ngfwv1.ExportLogsRequest) []byte {
	t.Helper()
	q, err := ParseExport(r)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := db.Export(t.Context(), orgID, q, func() io.Writer { return &out }); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestExport writes the same rows in every format.
func TestExport(t *testing.T) {
	db := openTest(t, nil)
	now := time.Now()
	formula := "=cmd|' /C calc'!A0"
	store(t, db, org, batch("e", 1,
		flow(now.Add(-time.Minute), func(e *ngfwv1.FlowEvent) {
			e.Kind, e.Hostname, e.App, e.DurationNs = ngfwv1.EventKind_EVENT_KIND_CLOSE, formula, "a,\"b\"\nc", 2e9
			e.NatSourceIp, e.NatSourcePort = ip("198.51.100.7"), 1024
		}),
		flow(now, func(e *ngfwv1.FlowEvent) { e.RuleId, e.RuleName, e.Protocol, e.IcmpType = 0, "", 1, 8 }),
		flow(now.Add(-time.Hour), func(e *ngfwv1.FlowEvent) { e.Action = ngfwv1.Verdict_VERDICT_DROP }),
	))
	store(t, db, Origin{"org-2", "dev-2", 7}, batch("e", 1, flow(now)))
	var want []record
	for _, e := range ask(t, db, org.OrgID, &ngfwv1.LogsRequest{Action: []string{"accept"}}).Logs {
		want = append(want, recordOf(e))
	}
	if len(want) != 2 {
		t.Fatal(len(want))
	}
	request := func(format string) *ngfwv1.ExportLogsRequest {
		return &ngfwv1.ExportLogsRequest{Format: format, Action: []string{"accept"}}
	}
	t.Run("ndjson", func(t *testing.T) {
		var got []record
		for line := range bytes.Lines(export(t, db, org.OrgID, request("ndjson"))) {
			var r record
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatal(err)
			}
			got = append(got, r)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
	t.Run("parquet", func(t *testing.T) {
		file := export(t, db, org.OrgID, request("parquet"))
		got, err := parquet.Read[record](bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
	t.Run("csv", func(t *testing.T) {
		lines, err := csv.NewReader(bytes.NewReader(export(t, db, org.OrgID, request("csv")))).ReadAll()
		if err != nil || len(lines) != 3 {
			t.Fatal(lines, err)
		}
		for i, field := range lines[0] {
			if name := reflect.TypeFor[record]().Field(i).Tag.Get("json"); strings.TrimSuffix(name, ",omitempty") != field {
				t.Errorf("field %d is %s, want %s", i, field, name)
			}
		}
		row := map[string]string{}
		for i, v := range lines[2] {
			row[lines[0][i]] = v
		}
		for field, want := range map[string]string{
			"hostname": "'" + formula, "app": "a,\"b\"\nc", "duration_ms": "2000", "icmp_type": "", "nat_source_ip": "198.51.100.7",
			"nat_destination_ip": "203.0.113.5", "bytes": "180", "timestamp": fmt.Sprintf("%.6f", float64(now.Add(-time.Minute).UnixMicro())/1e6),
		} {
			if row[field] != want {
				t.Errorf("%s: %q, want %q", field, row[field], want)
			}
		}
	})
	t.Run("nothing", func(t *testing.T) {
		for format, least := range map[string]int{"csv": 1, "ndjson": 0, "parquet": 8} {
			file := export(t, db, "org-3", request(format))
			if format == "parquet" {
				if rows, err := parquet.Read[record](bytes.NewReader(file), int64(len(file))); err != nil || len(rows) != 0 {
					t.Error(rows, err)
				}
			} else if n := bytes.Count(file, []byte("\n")); n != least {
				t.Errorf("%s: %d lines, want %d", format, n, least)
			}
		}
	})
}

func TestExportParameters(t *testing.T) {
	for field, r := range map[string]*ngfwv1.ExportLogsRequest{
		"format":  {Format: "xlsx"},
		"src":     {Format: "csv", Src: []string{"1.2.3.4'; DROP TABLE flows"}},
		"to":      {Format: "csv", From: "20", To: "10"},
		"rule_id": {Format: "csv", RuleId: []string{"-1"}},
	} {
		_, err := ParseExport(r)
		if f, ok := fault.As(err); !ok || f.Field() != field {
			t.Errorf("%v: %v, want one that names %s", r, err, field)
		}
	}
	if _, err := ParseExport(&ngfwv1.ExportLogsRequest{}); err == nil {
		t.Error("no format")
	}
}

// slow is a client that takes nothing until it leaves.
type slow struct {
	begun chan struct{}
	ctx   context.Context
}

func (s slow) Write([]byte) (int, error) {
	select {
	case s.begun <- struct{}{}:
	default:
	}
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func TestExportIsBoundedAndEndsWithItsClient(t *testing.T) {
	db := openTest(t, func(c *Config, _ *Deps) { c.Exports = 1 })
	now := time.Now()
	events := make([]*ngfwv1.FlowEvent, 50_000)
	for i := range events {
		events[i] = flow(now.Add(-time.Duration(i) * time.Millisecond))
	}
	store(t, db, org, batch("e", 1, events...))
	q, err := ParseExport(&ngfwv1.ExportLogsRequest{Format: "ndjson"})
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(export(t, db, org.OrgID, &ngfwv1.ExportLogsRequest{Format: "parquet"}), []byte("PAR1")); n != 2 {
		t.Errorf("%d marks of a parquet file, want 2", n)
	}
	if n := bytes.Count(export(t, db, org.OrgID, &ngfwv1.ExportLogsRequest{Format: "csv"}), []byte("\n")); n != 50_001 {
		t.Errorf("%d lines, want 50001", n)
	}
	ctx, leave := context.WithCancel(t.Context())
	client := slow{make(chan struct{}, 1), ctx}
	ended := make(chan error, 1)
	go func() { ended <- db.Export(ctx, org.OrgID, q, func() io.Writer { return client }) }()
	<-client.begun
	if err := db.Export(t.Context(), org.OrgID, q, func() io.Writer { return io.Discard }); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a second export: %v", err)
	}
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want canceled", err)
	}
	if err := db.Export(t.Context(), org.OrgID, q, func() io.Writer { return io.Discard }); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestFind(t *testing.T) {
	clock := newTestClock()
	db := openTest(t, func(_ *Config, d *Deps) { d.Now = clock.now })
	now := clock.now()
	store(t, db, org, batch("e", 300, flow(now.Add(-time.Hour)), flow(now, func(e *ngfwv1.FlowEvent) { e.RuleId = 9 })))
	for _, e := range ask(t, db, org.OrgID, &ngfwv1.LogsRequest{}).Logs {
		got, err := db.Find(t.Context(), org.OrgID, 7, e.Id)
		if err != nil || got.Id != e.Id || got.GetRuleId() != e.GetRuleId() {
			t.Errorf("%v, %v, want %v", got, err, e)
		}
		for _, id := range []string{"", "x", e.Id + "A", e.Id[:len(e.Id)-1], "' OR 1=1", strings.Repeat("A", 64)} {
			if _, err := db.Find(t.Context(), org.OrgID, 7, id); !fault.Is(err, fault.NotFound) {
				t.Errorf("%q: %v", id, err)
			}
		}
		if _, err := db.Find(t.Context(), "org-2", 7, e.Id); !fault.Is(err, fault.NotFound) {
			t.Errorf("another organisation: %v", err)
		}
		clock.set(now.Add(25 * time.Hour))
		if _, err := db.Find(t.Context(), org.OrgID, 1, e.Id); !fault.Is(err, fault.NotFound) {
			t.Errorf("past the plan: %v", err)
		}
		clock.set(now)
	}
}
