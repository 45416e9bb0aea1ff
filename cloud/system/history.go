package system

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// history is what a device was like lately: means over equal steps, the oldest
// first. It is small, as every device has one: rates stand in lists, by the
// places of their interfaces in Names.
type history struct {
	Names   []string `json:"names"`
	Samples []sample `json:"samples"`

	open sums // of the newest sample
}

type sample struct {
	At          int64   `json:"t"` // when its step began, Unix seconds
	CPU         int32   `json:"c"`
	Memory      int32   `json:"m"`
	Temperature *int32  `json:"d,omitempty"`
	Connections int64   `json:"n"`
	Rates       []int64 `json:"r"` // received and sent, by interface; -1: it was not there
}

// sums are what a sample is the mean of.
type sums struct {
	count, cpu, memory, connections int64
	rates                           map[string]*ratesSum
}

type ratesSum struct{ count, rx, tx int64 }

// mostNames and longestName (more than IFNAMSIZ, linux/if.h) bound what a router that
// makes and removes interfaces, or says so, leaves behind.
const (
	mostNames   = 256
	longestName = 64
)

// add takes a report into the sample of its step.
func (h *history) add(now time.Time, step time.Duration, keep int, m *ngfwv1.Metrics) {
	if step <= 0 || keep <= 0 {
		return
	}
	at := now.Truncate(step).Unix()
	if n := len(h.Samples); n == 0 || h.Samples[n-1].At != at {
		h.open = sums{rates: map[string]*ratesSum{}}
		h.Samples = append(h.Samples, sample{At: at})
		if over := len(h.Samples) - keep; over > 0 {
			h.Samples = slices.Delete(h.Samples, 0, over)
		}
	} else if h.open.rates == nil { // begun before a restart of the cloud
		h.open = sums{rates: map[string]*ratesSum{}}
	}
	o := &h.open
	o.count++
	o.cpu += int64(m.GetCpu())
	o.memory += int64(m.GetMemory())
	o.connections += m.GetConnections().GetTotal()
	for name, r := range m.GetInterfaces() {
		if !slices.Contains(h.Names, name) && !h.name(name) {
			continue
		}
		s := o.rates[name]
		if s == nil {
			s = &ratesSum{}
			o.rates[name] = s
		}
		s.count++
		s.rx += r.GetRxRate()
		s.tx += r.GetTxRate()
	}
	h.Samples[len(h.Samples)-1] = o.mean(at, h.Names, m.Temperature)
}

// name gives a name its place; false: there is none for it.
func (h *history) name(name string) bool {
	if len(h.Names) >= mostNames || len(name) > longestName {
		return false
	}
	h.Names = append(h.Names, name)
	return true
}

func (o *sums) mean(at int64, names []string, temperature *int32) sample {
	out := sample{
		At: at, CPU: int32(o.cpu / o.count), Memory: int32(o.memory / o.count), Connections: o.connections / o.count,
		Rates: make([]int64, 0, 2*len(names)),
	}
	if temperature != nil {
		out.Temperature = proto.Int32(*temperature)
	}
	for _, name := range names {
		if s := o.rates[name]; s != nil {
			out.Rates = append(out.Rates, s.rx/s.count, s.tx/s.count)
		} else {
			out.Rates = append(out.Rates, -1, -1)
		}
	}
	return out
}

// shown is the history as the API has it.
func (h *history) shown() []*ngfwv1.MetricsSample {
	out := make([]*ngfwv1.MetricsSample, 0, len(h.Samples))
	for _, s := range h.Samples {
		m := &ngfwv1.MetricsSample{
			Timestamp: s.At, Cpu: s.CPU, Memory: s.Memory, Temperature: s.Temperature, Connections: s.Connections,
			Interfaces: make(map[string]*ngfwv1.Metrics_Rates, len(h.Names)),
		}
		for i, name := range h.Names {
			if 2*i+1 < len(s.Rates) && s.Rates[2*i] >= 0 {
				m.Interfaces[name] = &ngfwv1.Metrics_Rates{RxRate: s.Rates[2*i], TxRate: s.Rates[2*i+1]}
			}
		}
		out = append(out, m)
	}
	return out
}

// History is what the device was like lately, the oldest sample first.
func (r *Reports) History(ctx context.Context, deviceID string) (out []*ngfwv1.MetricsSample, err error) {
	err = r.with(ctx, deviceID, func(d *report) { out = d.history.shown() })
	return out, err
}
