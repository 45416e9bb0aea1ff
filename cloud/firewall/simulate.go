package firewall

import (
	"context"
	"errors"
	"time"

	"ngfw.sh/cloud/resource"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// maxWait is how long a router may take to answer.
const maxWait = 10 * time.Second

// Routers carries questions to routers. One that is away is DEVICE_OFFLINE.
type Routers interface {
	Ask(ctx context.Context, deviceID string, request *ngfwv1.CloudMessage) (*ngfwv1.AgentMessage, error)
}

// Simulate asks the router what would become of a packet: it knows its own
// addresses, and what it enforces.
func (s *Service) Simulate(ctx context.Context, req *ngfwv1.SimulateRequest) (*ngfwv1.Explanation, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	if req.GetPacket() == nil {
		return nil, fault.Invalid("packet", "is required")
	}
	_, err = resource.FromMessage(req.GetPacket(), func(text []byte) (policy.Packet, error) {
		return policy.DecodePacket(text, time.Now())
	})
	if err != nil {
		return nil, below("packet", err)
	}
	waiting, stop := context.WithTimeout(ctx, maxWait)
	defer stop()
	reply, err := s.deps.Routers.Ask(waiting, id, &ngfwv1.CloudMessage{
		Payload: &ngfwv1.CloudMessage_Simulate{Simulate: &ngfwv1.Simulate{Packet: req.GetPacket()}},
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, fault.New(fault.Unavailable, "the router has not answered within %s", maxWait)
	}
	if err != nil {
		return nil, err
	}
	if e := reply.GetSimulateResult().GetExplanation(); e != nil {
		return e, nil
	}
	return nil, refusal(reply.GetError())
}

// refusal is a router's error as the caller may read it.
func refusal(e *ngfwv1.Error) error {
	switch code := fault.Code(e.GetCode()); code {
	case fault.Conflict, fault.InvalidConfig, fault.BadRequest, fault.Unavailable:
		return fault.New(code, "%s", e.GetMessage())
	case "UNSUPPORTED":
		return fault.New(fault.Unavailable, "the router's agent is too old to simulate: upgrade it")
	}
	return fault.New(fault.Unavailable, "the router cannot tell").Because(errors.New(e.GetCode() + ": " + e.GetMessage()))
}
