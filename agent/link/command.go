package link

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// command answers what this agent does not do. Each is refused by name: a cloud
// that hears "accepted" may tell its user that the router restarts.
func (s *session) command(m *ngfwv1.CloudMessage) {
	reply := &ngfwv1.AgentMessage{Id: m.Id}
	switch p := m.Payload.(type) {
	case *ngfwv1.CloudMessage_Exec:
		// No command is on the allow-list of diagnostics yet.
		reply.Payload = &ngfwv1.AgentMessage_ExecResult{ExecResult: &ngfwv1.ExecResult{
			CommandId: p.Exec.CommandId, ExitCode: -1,
			Stderr: fmt.Sprintf("command %q is not allowed", p.Exec.Command),
		}}
	case *ngfwv1.CloudMessage_Reboot:
		reply.Payload = notSupported("REBOOT")
	case *ngfwv1.CloudMessage_Shutdown:
		reply.Payload = notSupported("SHUTDOWN")
	case *ngfwv1.CloudMessage_Upgrade:
		reply.Payload = notSupported("UPGRADE")
	default:
		reply = errorMessage(m.Id, "UNSUPPORTED", "this agent version does not know that message")
	}
	s.c.log.Warn("message refused", "message", kind(m))
	s.post(reply)
}

func notSupported(name string) *ngfwv1.AgentMessage_CommandAck {
	return &ngfwv1.AgentMessage_CommandAck{CommandAck: &ngfwv1.CommandAck{Error: name + " is not supported by this agent version"}}
}

// kind names the payload of a message: "exec", "reboot"; "" for one from the
// future.
func kind(m proto.Message) string {
	r := m.ProtoReflect()
	if f := r.WhichOneof(r.Descriptor().Oneofs().ByName("payload")); f != nil {
		return string(f.Name())
	}
	return ""
}
