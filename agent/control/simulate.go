package control

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
)

const maxPacket = 64 << 10 // bytes of JSON

// refusal is what is answered instead of an explanation.
type refusal struct {
	Code    fault.Code    `json:"code"`
	Message string        `json:"message"`
	Fields  []fault.Field `json:"fields,omitempty"`
}

// simulate says what would become of a packet under the enforced policy.
func (s *Server) simulate(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(v); err != nil {
			s.deps.Logger.Debug("answer was not taken", "err", err)
		}
	}
	explanation, err := s.explain(w, r)
	switch f, ok := fault.As(err); {
	case err == nil:
		answer(http.StatusOK, explanation)
	case ok:
		answer(http.StatusBadRequest, refusal{f.Code, f.Message, f.Fields})
	default: // the only caller is this machine's administrator
		answer(http.StatusInternalServerError, refusal{fault.Internal, err.Error(), nil})
	}
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) (policy.Explanation, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPacket))
	if err != nil {
		return policy.Explanation{}, fault.New(fault.BadRequest, "the packet cannot be read: %v", err)
	}
	p, err := policy.DecodePacket(body, time.Now())
	if err != nil {
		return policy.Explanation{}, err
	}
	if s.deps.Simulate == nil {
		return policy.Explanation{}, fault.New(fault.Unavailable, "this agent does not simulate")
	}
	return s.deps.Simulate(p)
}

// Simulate asks the agent that serves the socket what would become of a packet.
func Simulate(ctx context.Context, socket string, p policy.Packet) (policy.Explanation, error) {
	var e policy.Explanation
	body, err := json.Marshal(p)
	if err != nil {
		return e, err
	}
	return e, ask(ctx, socket, http.MethodPost, "/simulate", bytes.NewReader(body), &e)
}
