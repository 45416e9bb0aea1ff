package link

import (
	"errors"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// maxQuestions wait for their turn.
const maxQuestions = 16

// question takes what the cloud wants to know of a packet.
func (s *session) question(m *ngfwv1.CloudMessage) {
	if s.c.deps.Simulate == nil {
		s.post(errorMessage(m.Id, "UNSUPPORTED", "this agent does not simulate"))
		return
	}
	select {
	case s.questions <- m:
	default:
		s.post(errorMessage(m.Id, string(fault.Unavailable), "the router has too many questions to answer"))
	}
}

// answerQuestions answers one after the other: each may wait for a change of the
// policy that is being made.
func (s *session) answerQuestions() error {
	for {
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case m := <-s.questions:
			s.post(s.explain(m))
		}
	}
}

func (s *session) explain(m *ngfwv1.CloudMessage) *ngfwv1.AgentMessage {
	e, err := s.c.deps.Simulate(s.ctx, m.GetSimulate().GetPacket())
	var wrong *fault.Error
	switch {
	case err == nil:
		return &ngfwv1.AgentMessage{Id: m.Id, Payload: &ngfwv1.AgentMessage_SimulateResult{SimulateResult: &ngfwv1.SimulateResult{Explanation: e}}}
	case errors.As(err, &wrong):
		return errorMessage(m.Id, string(wrong.Code), wrong.Error())
	}
	s.c.log.Error("a packet could not be simulated", "error", err)
	return errorMessage(m.Id, string(fault.Unavailable), "the packet program cannot be asked: the router's log says why")
}
