package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// simulate says what would become of a packet under the image that is enforced.
func (a *Agent) simulate(p policy.Packet) (policy.Explanation, error) { return a.dataplane.Explain(p) }

// explain is simulate for the cloud. The messages have the JSON form of the
// model, whose decoder is the only one there is.
func (a *Agent) explain(_ context.Context, m *ngfwv1.Packet) (*ngfwv1.Explanation, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode a packet: %w", err)
	}
	p, err := policy.DecodePacket(text, time.Now())
	if err != nil {
		return nil, err
	}
	e, err := a.simulate(p)
	if err != nil {
		return nil, err
	}
	if text, err = json.Marshal(e); err != nil {
		return nil, fmt.Errorf("encode an explanation: %w", err)
	}
	out := &ngfwv1.Explanation{}
	return out, protojson.Unmarshal(text, out)
}
