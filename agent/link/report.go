package link

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// reporter sends status and metrics of one connection.
type reporter struct {
	session  *session
	hardware *ngfwv1.Hardware // as last sent
}

func (r *reporter) run(ctx context.Context) error {
	c := r.session.c
	status := time.NewTicker(c.cfg.StatusInterval)
	defer status.Stop()
	metrics := time.NewTicker(c.cfg.MetricsInterval)
	defer metrics.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case id := <-r.session.asked:
			r.session.post(r.status(ctx, id))
		case <-status.C:
			r.session.post(r.status(ctx, uuid.NewString()))
		case <-metrics.C:
			if m := c.deps.Metrics(ctx); m != nil {
				r.session.post(&ngfwv1.AgentMessage{Id: uuid.NewString(), Payload: &ngfwv1.AgentMessage_Metrics{Metrics: m}})
			}
		}
	}
}

// status collects one; the hardware goes along only when it is news.
func (r *reporter) status(ctx context.Context, id string) *ngfwv1.AgentMessage {
	st := r.session.c.deps.Status(ctx)
	if st == nil {
		st = &ngfwv1.Status{}
	}
	out := &ngfwv1.Status{Status: st.Status}
	if st.Hardware != nil && !proto.Equal(st.Hardware, r.hardware) {
		r.hardware = st.Hardware
		out.Hardware = st.Hardware
	}
	return &ngfwv1.AgentMessage{Id: id, Payload: &ngfwv1.AgentMessage_Status{Status: out}}
}
