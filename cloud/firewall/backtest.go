package firewall

import (
	"context"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"ngfw.sh/internal/fault"
	"ngfw.sh/internal/optional"
	"ngfw.sh/policy"
	"ngfw.sh/policy/backtest"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Traffic is the record of what the routers saw.
type Traffic interface {
	// Recorded calls each for every kind of flow of the caller's device, with the
	// number of rows it was made of. What the caller's plan does not keep is not there.
	Recorded(ctx context.Context, q RecordedQuery, each func(r backtest.Record, rows uint64) error) error
}

// RecordedQuery says which traffic is meant.
type RecordedQuery struct {
	DeviceID string
	From, To time.Time
	Minutes  bool // records are of one minute each
	MACs     bool // and of one sender's MAC address; otherwise they tell none
	// Areas: only what is in one of these is asked for, and what lacks an interface; nil: all.
	Areas []backtest.Area
}

// Operations run what outlasts a request, in the name of its caller.
type Operations interface {
	Start(ctx context.Context, kind string, work func(ctx context.Context, progress func(float64)) (proto.Message, error)) (*ngfwv1.OperationStarted, error)
}

const (
	defaultBacktest = time.Hour
	maxBacktest     = 92 * 24 * time.Hour
)

// Backtest judges recorded traffic under the stored policy and a changed one.
func (s *Service) Backtest(ctx context.Context, req *ngfwv1.BacktestRequest) (*ngfwv1.OperationStarted, error) {
	now := time.Now()
	from, to, err := backtestSpan(req, now)
	if err != nil {
		return nil, err
	}
	done, err := s.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	id, stored, other, err := s.compared(ctx, req.GetDeviceId(), req)
	if err != nil {
		return nil, err
	}
	env, err := s.environment(ctx, id, stored, other)
	if err != nil {
		return nil, err
	}
	test, err := backtest.New(backtest.DefaultConfig(), stored, other, env)
	if err != nil {
		return nil, err
	}
	within, bounded := test.Areas()
	if !bounded {
		within = nil
	}
	return s.deps.Operations.Start(ctx, "backtest", func(ctx context.Context, progress func(float64)) (proto.Message, error) {
		var rows uint64
		parts := parts(from, to)
		for i, p := range parts {
			err := s.deps.Traffic.Recorded(ctx, RecordedQuery{id, p.from, p.to, test.Scheduled(), test.AsksMAC(), within}, func(r backtest.Record, n uint64) error {
				rows += n
				test.Add(r)
				return nil
			})
			if err != nil {
				return nil, err
			}
			progress(float64(i+1) / float64(len(parts)))
		}
		out := backtestResult(test.Result())
		out.From, out.To = from.Unix(), to.Unix()
		out.Rows, out.Judged = int64(rows), int64(test.Judged)
		return out, nil
	})
}

// part is a piece of the time that is tried.
type part struct{ from, to time.Time }

const (
	leastPart = 5 * time.Minute
	mostParts = 6
)

// parts cuts the time into pieces that are read one after the other, the latest
// first: what is read at once stays small, and how far it is can be told.
func parts(from, to time.Time) []part {
	n := min(max(to.Sub(from)/leastPart, 1), mostParts)
	out := make([]part, 0, n)
	for end := to; len(out) < cap(out); {
		begin := to.Add(-to.Sub(from) / n * time.Duration(len(out)+1))
		if len(out) == cap(out)-1 {
			begin = from
		}
		out = append(out, part{begin, end})
		end = begin
	}
	return out
}

func backtestSpan(req *ngfwv1.BacktestRequest, now time.Time) (from, to time.Time, err error) {
	to, from = now, time.Time{}
	if req.To != nil {
		if to, err = moment("to", req.GetTo()); err != nil {
			return
		}
	}
	from = to.Add(-defaultBacktest)
	if req.From != nil {
		if from, err = moment("from", req.GetFrom()); err != nil {
			return
		}
	}
	switch {
	case !from.Before(to):
		err = fault.Invalid("from", "must lie before to")
	case from.After(now):
		err = fault.Invalid("from", "lies in the future")
	case to.Sub(from) > maxBacktest:
		err = fault.Invalid("from", "lies more than %d days before to", int(maxBacktest.Hours()/24))
	}
	return
}

// moment reads Unix seconds with a fraction.
func moment(name string, seconds float64) (time.Time, error) {
	if math.IsNaN(seconds) || seconds < 0 || seconds > math.MaxUint32 {
		return time.Time{}, fault.Invalid(name, "is not a time in Unix seconds")
	}
	return time.UnixMicro(int64(seconds * 1e6)), nil
}

func backtestResult(r backtest.Result) *ngfwv1.BacktestResult {
	out := &ngfwv1.BacktestResult{Totals: &ngfwv1.BacktestTotals{}}
	out.Blocked, out.Totals.Blocked = backtestClass(r.Blocked)
	out.Allowed, out.Totals.Allowed = backtestClass(r.Allowed)
	out.Uncertain, out.Totals.Uncertain = backtestClass(r.Uncertain)
	return out
}

func backtestClass(c backtest.Class) ([]*ngfwv1.BacktestEntry, *ngfwv1.BacktestTotal) {
	out := make([]*ngfwv1.BacktestEntry, len(c.Entries))
	for i, e := range c.Entries {
		m := &ngfwv1.BacktestEntry{
			Client: e.Client.String(), Destination: e.Destination.String(), Hostname: optional.Of(e.Hostname),
			Protocol: policy.ProtocolName(e.Protocol), Port: uint32(e.Port), App: optional.Of(e.App), Action: string(e.Action),
			DecidedBy: e.Decider.Reason(), Bytes: int64(e.Bytes), Connections: int64(e.Connections),
			LastSeen: float64(e.LastSeen.UnixMicro()) / 1e6, Examples: e.Examples, Reason: optional.Of(e.Reason),
		}
		if e.Decider.Kind() == policy.DeciderRule {
			id := int64(e.Decider.ID())
			m.RuleId = &id
		}
		out[i] = m
	}
	return out, &ngfwv1.BacktestTotal{Bytes: int64(c.Bytes), Connections: int64(c.Connections), Unlisted: int64(c.Unlisted)}
}
