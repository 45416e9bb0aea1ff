package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/store"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Run writes what changed to the store until ctx ends, and once more then.
func (r *Reports) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.Persist)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.logged(r.flush(ctx, false))
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			r.logged(r.Flush(last))
			return nil
		}
	}
}

func (r *Reports) logged(err error) {
	if err != nil {
		r.deps.Logger.Error("reports not written; they are kept and tried again", "error", err)
	}
}

// Flush writes what changed since the last time to the store.
func (r *Reports) Flush(ctx context.Context) error { return r.flush(ctx, true) }

// flush leaves histories out that were written lately, unless all is asked for.
func (r *Reports) flush(ctx context.Context, all bool) error {
	var out []store.Report
	var errs []error
	r.mu.Lock()
	for id, d := range r.devices {
		if !d.dirty {
			continue
		}
		now := r.deps.Now()
		due := all || now.Sub(d.historyAt) >= r.cfg.KeepHistory
		row, err := encode(id, d, due)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.dirty = false
		if due {
			d.historyAt = now
		}
		out = append(out, row)
	}
	r.mu.Unlock()
	if len(out) == 0 {
		return errors.Join(errs...)
	}
	if err := r.deps.Store.PutReports(ctx, out); err != nil {
		errs = append(errs, err)
		r.mu.Lock()
		for _, row := range out {
			if d, ok := r.devices[row.DeviceID]; ok {
				d.dirty = true
				if row.History != nil {
					d.historyAt = time.Time{}
				}
			}
		}
		r.mu.Unlock()
	}
	return errors.Join(errs...)
}

func encode(id string, d *report, withHistory bool) (store.Report, error) {
	out := store.Report{
		DeviceID: id, LastSeen: unix(d.lastSeen), StatusAt: unix(d.statusAt), MetricsAt: unix(d.metricsAt),
		AgentVersion: d.agentVersion, Firmware: d.firmware,
	}
	var errs [6]error
	if d.status != nil {
		out.Status, errs[0] = proto.Marshal(d.status)
	}
	if d.hardware != nil {
		out.Hardware, errs[1] = proto.Marshal(d.hardware)
	}
	if d.last != nil {
		out.Metrics, errs[2] = proto.Marshal(d.last)
	}
	out.Counters, errs[3] = json.Marshal(d.counters)
	out.Config, errs[4] = json.Marshal(d.config)
	if withHistory && len(d.history.Samples) > 0 {
		out.History, errs[5] = json.Marshal(&d.history)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return out, fmt.Errorf("encode report of %s: %w", id, err)
	}
	return out, nil
}

func decode(row store.Report) (*report, error) {
	d := &report{
		lastSeen: fromUnix(row.LastSeen), statusAt: fromUnix(row.StatusAt), metricsAt: fromUnix(row.MetricsAt),
		agentVersion: row.AgentVersion, firmware: row.Firmware, counters: map[int64]counter{},
	}
	var errs [6]error
	if row.Status != nil {
		d.status = &ngfwv1.SystemStatus{}
		errs[0] = proto.Unmarshal(row.Status, d.status)
	}
	if row.Hardware != nil {
		d.hardware = &ngfwv1.Hardware{}
		errs[1] = proto.Unmarshal(row.Hardware, d.hardware)
	}
	if row.Metrics != nil {
		d.last = &ngfwv1.Metrics{}
		errs[2] = proto.Unmarshal(row.Metrics, d.last)
	}
	errs[3] = json.Unmarshal(row.Counters, &d.counters)
	errs[4] = json.Unmarshal(row.Config, &d.config)
	if row.History != nil {
		errs[5] = json.Unmarshal(row.History, &d.history)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("decode report of %s: %w", row.DeviceID, err)
	}
	return d, nil
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromUnix(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0)
}
