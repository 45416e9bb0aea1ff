package cloud

import (
	"context"
	"sync/atomic"

	"ngfw.sh/analytics"
	"ngfw.sh/cloud/firewall"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/traffic"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	"ngfw.sh/policy/backtest"
)

// recorded is analytics as the firewall service knows it. The service exists
// before the database, and without it in a command beside the server.
type recorded struct {
	db    atomic.Pointer[analytics.DB]
	plans traffic.Config
}

func (r *recorded) Recorded(ctx context.Context, q firewall.RecordedQuery, each func(backtest.Record, uint64) error) error {
	db := r.db.Load()
	if db == nil {
		return fault.New(fault.Unavailable, "the record of traffic is not open here")
	}
	c, ok := identity.From(ctx)
	if !ok || c.OrgID == "" {
		return fault.New(fault.Unauthorized, "who is asking is not known")
	}
	return db.Recorded(ctx, c.OrgID, analytics.RecordedQuery{
		DeviceID: q.DeviceID, From: q.From, To: q.To, Minutes: q.Minutes, MACs: q.MACs, RetentionDays: r.plans.DaysOf(c.Plan),
		Areas: areasOf(q.Areas),
	}, func(row analytics.Recorded) error { return each(recordOf(row), row.Rows) })
}

// recordOf is a kind of recorded flow as a policy judges it.
func recordOf(r analytics.Recorded) backtest.Record {
	out := backtest.Record{
		Packet: policy.Packet{
			In: r.InterfaceIn, Out: r.InterfaceOut, Src: r.Source, Dst: r.Destination,
			Protocol: r.Protocol, ICMPType: r.ICMPType, ICMPCode: r.ICMPCode, Time: r.Minute,
		},
		Refused: r.Refused, Repeats: r.MostRepeats > 1,
		App: r.App, Hostname: r.Hostname, Bytes: r.Bytes, Connections: r.Connections,
		LastSeen: r.LastSeen, Example: r.Example,
	}
	if policy.HasPorts(r.Protocol) {
		out.Packet.DstPort = r.Port
	}
	if mac, err := policy.ParseMAC(r.MAC); err == nil {
		out.Packet.SrcMAC = mac
	}
	return out
}

func areasOf(list []backtest.Area) []analytics.Area {
	if list == nil {
		return nil
	}
	out := make([]analytics.Area, len(list))
	for i, a := range list {
		out[i] = analytics.Area{
			AnyInterface: a.AnyInterface, In: a.In, Out: a.Out, SourceFirst: a.Source.First, SourceLast: a.Source.Last,
			DestinationFirst: a.Destination.First, DestinationLast: a.Destination.Last,
			Protocol: a.Protocol, PortLo: a.PortLo, PortHi: a.PortHi,
		}
	}
	return out
}
