package link

import (
	"context"
	"time"

	"github.com/google/uuid"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// While a proof is waited for: how often it is looked for, and the cloud asked.
const (
	proofInterval = 10 * time.Millisecond
	proofAgain    = time.Second
)

// Proof returns nil once the cloud has answered something that was sent after the
// call: over the present connection, or by letting a new one in.
func (c *Client) Proof(ctx context.Context) error {
	began := time.Now()
	tick := time.NewTicker(proofInterval)
	defer tick.Stop()
	var asked time.Time
	for {
		if s := c.changes.attached(); s != nil {
			if s.start.After(began) || s.answered.Load() >= int64(began.Sub(s.start)) {
				return nil
			}
			if time.Since(asked) >= proofAgain {
				asked = time.Now()
				s.ping()
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (q *changes) attached() *session {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.session
}

// ping asks for an answer and gives the time of asking, since the connection began.
func (s *session) ping() int64 {
	sent := int64(time.Since(s.start))
	m := &ngfwv1.AgentMessage{Id: uuid.NewString(), Payload: &ngfwv1.AgentMessage_Ping{Ping: &ngfwv1.Ping{Nonce: sent}}}
	select {
	case s.control <- m:
	default: // so full that nothing has been sent for long: who waits finds out
	}
	return sent
}
