package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVerdict(t *testing.T) {
	tests := []struct {
		name   string
		result Result
		ratio  float64
		ok     bool
	}{
		{"no floor", Figure("x", 5, "ms", Lower), 0, true},
		{"lower, within", Figure("x", 5, "ms", Lower).AtLeast(6), 0, true},
		{"lower, beyond", Figure("x", 7, "ms", Lower).AtLeast(6), 0, false},
		{"higher, within", Figure("x", 7, "/s", Higher).AtLeast(6), 0, true},
		{"higher, below", Figure("x", 5, "/s", Higher).AtLeast(6), 0, false},
		{"lower than the rival", Figure("x", 5, "ns", Lower).Against("nft", 10).AtLeast(1.5), 2, true},
		{"lower, the other order", Figure("x", 5, "ns", Lower).AtLeast(2.5).Against("nft", 10), 2, false},
		{"higher than the rival", Figure("x", 10, "/s", Higher).Against("nft", 4), 2.5, true},
		{"nothing measured", Figure("x", 0, "ns", Lower).Against("nft", 4).AtLeast(1), 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ratio := 0.0
			if tt.result.Ratio != nil {
				ratio = *tt.result.Ratio
			}
			if ratio != tt.ratio || tt.result.OK != tt.ok {
				t.Errorf("ratio %v, ok %v, want %v, %v", ratio, tt.result.OK, tt.ratio, tt.ok)
			}
		})
	}
}

func TestReport(t *testing.T) {
	results := []Result{
		Figure("forward", 200, "ns", Lower).Against("nft", 500).AtLeast(2).Noting("64 bytes"),
		Figure("memory", 70, "MB", Lower).AtLeast(64),
	}
	var table strings.Builder
	if err := Table(&table, "main", results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"500 nft", "2.50×", "ok", "64 bytes", "MISSED"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%q is not in\n%s", want, &table)
		}
	}

	dir := filepath.Join(t.TempDir(), "bench")
	if err := Write(dir, "main", results); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(dir + "/main.json")
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"name": "forward", "value": 200., "unit": "ns", "better": "lower", "rival": "nft", "rival_value": 500., "ratio": 2.5, "floor": 2., "ok": true, "note": "64 bytes"},
		{"name": "memory", "value": 70., "unit": "MB", "better": "lower", "rival": nil, "rival_value": nil, "ratio": nil, "floor": 64., "ok": false, "note": ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
