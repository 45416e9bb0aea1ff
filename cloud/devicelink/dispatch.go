package devicelink

import (
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// dispatch takes the router's messages until the connection ends, and gives a
// silent one up. Of all that it calls only the queue of batches may make it
// wait, and only for a router that has sent more than its window.
func (ss *session) dispatch(inbox <-chan *ngfwv1.AgentMessage) {
	tick := time.NewTicker(ss.server.cfg.KeepAlive)
	defer tick.Stop()
	heard := time.Now()
	for {
		select {
		case m := <-inbox:
			heard = time.Now()
			ss.server.metrics.message(kind(m))
			ss.handle(m)
		case <-tick.C:
			if time.Since(heard) > ss.server.cfg.KeepAlive*5/2 {
				ss.cancel(errSilent)
				return
			}
			select {
			case ss.out <- &ngfwv1.CloudMessage{Id: uuid.NewString(), Payload: &ngfwv1.CloudMessage_Ping{Ping: &ngfwv1.Ping{Nonce: heard.UnixNano()}}}:
			default: // the peer does not read; its silence will tell
			}
		case <-ss.ctx.Done():
			return
		}
	}
}

// maxLogged bounds what of a router's words goes into the log.
const maxLogged = 256

func (ss *session) handle(m *ngfwv1.AgentMessage) {
	cfg := ss.server.cfg
	m.Id = clip(m.Id, 64)
	if m.GetFlowBatch() == nil && proto.Size(m) > cfg.MaxMessage {
		ss.fail(m.Id, "PAYLOAD_TOO_LARGE", "the message is too large")
		return
	}
	switch p := m.Payload.(type) {
	case *ngfwv1.AgentMessage_Ping:
		ss.post(&ngfwv1.CloudMessage{Id: m.Id, Payload: &ngfwv1.CloudMessage_Pong{Pong: &ngfwv1.Pong{Nonce: p.Ping.Nonce}}})
	case *ngfwv1.AgentMessage_Pong:
	case *ngfwv1.AgentMessage_Status:
		ss.report.status(p.Status)
		if !ss.asks.answer(m) {
			ss.post(&ngfwv1.CloudMessage{Id: m.Id, Payload: &ngfwv1.CloudMessage_StatusOk{StatusOk: &ngfwv1.StatusOk{}}})
		}
	case *ngfwv1.AgentMessage_Metrics:
		ss.report.metrics(p.Metrics)
	case *ngfwv1.AgentMessage_ConfigAck:
		ss.push.answered(m.Id, nil)
	case *ngfwv1.AgentMessage_ConfigFail:
		ss.push.answered(m.Id, p.ConfigFail)
	case *ngfwv1.AgentMessage_SpoolState:
		ss.spoolState(m)
	case *ngfwv1.AgentMessage_FlowBatch:
		ss.batch(m.Id, p.FlowBatch)
	case *ngfwv1.AgentMessage_ExecResult, *ngfwv1.AgentMessage_CommandAck, *ngfwv1.AgentMessage_SimulateResult:
		ss.asks.answer(m)
	case *ngfwv1.AgentMessage_ModeAck:
		ss.log.Info("mode taken", "mode", clip(p.ModeAck.Mode, maxLogged))
	case *ngfwv1.AgentMessage_Error:
		if !ss.asks.answer(m) {
			ss.log.Warn("the router reports an error", "code", clip(p.Error.Code, maxLogged), "message", clip(p.Error.Message, maxLogged))
		}
	case *ngfwv1.AgentMessage_Auth:
		ss.fail(m.Id, "BAD_REQUEST", "already authenticated")
	case *ngfwv1.AgentMessage_Log, *ngfwv1.AgentMessage_Alert:
		ss.fail(m.Id, "UNSUPPORTED", "this cloud does not take "+kind(m)+" messages")
	default:
		ss.fail(m.Id, "UNSUPPORTED", "this cloud does not know that message")
	}
}

func (ss *session) fail(id, code, text string) {
	ss.post(&ngfwv1.CloudMessage{Id: id, Payload: &ngfwv1.CloudMessage_Error{Error: &ngfwv1.Error{Code: code, Message: text}}})
}

// kind names the payload of a message: "status", "flow_batch"; "" for one that
// this cloud does not know.
func kind(m proto.Message) string {
	r := m.ProtoReflect()
	if f := r.WhichOneof(r.Descriptor().Oneofs().ByName("payload")); f != nil {
		return string(f.Name())
	}
	return ""
}
