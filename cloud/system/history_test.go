package system

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func metricsOf(cpu int32, rates map[string]int64) *ngfwv1.Metrics {
	m := &ngfwv1.Metrics{Cpu: cpu, Memory: 40, Connections: &ngfwv1.Metrics_Connections{Total: int64(cpu) * 10}, Interfaces: map[string]*ngfwv1.Metrics_Rates{}}
	for name, r := range rates {
		m.Interfaces[name] = &ngfwv1.Metrics_Rates{RxRate: r, TxRate: 2 * r}
	}
	return m
}

func TestHistoryKeepsMeansOfSteps(t *testing.T) {
	const step = 20 * time.Second
	begin := time.Unix(1_000_000_000, 0)
	var h history
	add := func(after time.Duration, m *ngfwv1.Metrics) { h.add(begin.Add(after), step, 3, m) }
	add(0, metricsOf(99, map[string]int64{"wan": 7}))
	add(20*time.Second, metricsOf(10, map[string]int64{"wan": 100}))
	add(25*time.Second, metricsOf(30, map[string]int64{"wan": 300, "lan": 5}))
	add(60*time.Second, metricsOf(50, map[string]int64{"lan": 9})) // nothing was told in the step before

	// What is kept over a restart goes on in the same step.
	data, err := json.Marshal(&h)
	if err != nil {
		t.Fatal(err)
	}
	h = history{}
	if err := json.Unmarshal(data, &h); err != nil {
		t.Fatal(err)
	}
	last := metricsOf(70, map[string]int64{"lan": 11})
	last.Temperature = proto.Int32(50)
	add(65*time.Second, last)
	add(80*time.Second, metricsOf(1, nil))

	rates := func(rx int64) *ngfwv1.Metrics_Rates { return &ngfwv1.Metrics_Rates{RxRate: rx, TxRate: 2 * rx} }
	want := []*ngfwv1.MetricsSample{
		{Timestamp: begin.Unix() + 20, Cpu: 20, Memory: 40, Connections: 200, Interfaces: map[string]*ngfwv1.Metrics_Rates{"wan": rates(200), "lan": rates(5)}},
		{Timestamp: begin.Unix() + 60, Cpu: 70, Memory: 40, Connections: 700, Temperature: proto.Int32(50), Interfaces: map[string]*ngfwv1.Metrics_Rates{"lan": rates(11)}},
		{Timestamp: begin.Unix() + 80, Cpu: 1, Memory: 40, Connections: 10, Interfaces: map[string]*ngfwv1.Metrics_Rates{}},
	}
	if d := cmp.Diff(want, h.shown(), protocmp.Transform()); d != "" {
		t.Error(d)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var h history
	at := time.Unix(1_000_000_000, 0)
	for i := range 1000 {
		h.add(at.Add(time.Duration(i)*time.Second), time.Second, 10, metricsOf(1, map[string]int64{time.Duration(i).String(): 1}))
	}
	if len(h.Samples) != 10 || len(h.Names) != mostNames {
		t.Errorf("%d samples, %d names", len(h.Samples), len(h.Names))
	}
}

// A router that tells of ever new interfaces leaves nothing behind of most of them.
func TestHistoryBoundsNames(t *testing.T) {
	var h history
	for i := range 3 * mostNames {
		h.add(time.Unix(1_000_000_000, 0), time.Minute, 3, metricsOf(1, map[string]int64{fmt.Sprint("if", i): 1, strings.Repeat("x", longestName+1+i): 1}))
	}
	if len(h.Names) != mostNames || len(h.open.rates) != mostNames || len(h.Samples[0].Rates) != 2*mostNames {
		t.Errorf("%d names, %d sums, %d rates", len(h.Names), len(h.open.rates), len(h.Samples[0].Rates))
	}
	for _, name := range h.Names {
		if len(name) > longestName {
			t.Errorf("a name of %d bytes", len(name))
		}
	}
}
