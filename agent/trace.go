package agent

import (
	"context"

	"ngfw.sh/dataplane"
)

// trace tells of packets, and of its own coming and going in the log: it shows
// what others send.
func (a *Agent) trace(ctx context.Context, f dataplane.TraceFilter, started func(), tell func(dataplane.TracePacket) error) (dataplane.TraceSummary, error) {
	a.log.Info("trace begins", "duration", f.Duration, "interface", f.Interface)
	sum, err := a.dataplane.Trace(ctx, f, started, tell)
	a.log.Info("trace ended", "packets", sum.Packets, "skipped", sum.Skipped, "lost", sum.Lost)
	return sum, err
}
