package inspect

import (
	"testing"

	"ngfw.sh/config/ids"
	matcher "ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/traffic"
)

// A parser that gives up costs its flow what the section says.
func TestParserGivesUp(t *testing.T) {
	for _, c := range []struct {
		name string
		doc  ids.Document
		want matcher.Leave
	}{
		{"prevent, fail open", ids.Document{Mode: ids.Prevent, FailOpen: true}, matcher.LeavePass},
		{"prevent, fail closed", ids.Document{Mode: ids.Prevent}, matcher.LeaveDrop},
		{"detect", ids.Document{Mode: ids.Detect}, matcher.Stay},
		{"detect, fail open", ids.Document{Mode: ids.Detect, FailOpen: true}, matcher.Stay},
	} {
		w := matcher.New(engineConfig(DefaultConfig(""), c.doc), matcher.Deps{}).Worker()
		x := traffic.New()
		conn := x.Connect(443)
		conn.Say(0, []byte("\x16\x03\x01\x00\x04\x0e\x00\x00\x00")) // TLS to begin with
		conn.Say(0, []byte("no record of TLS"))
		conn.Say(1, []byte("and no answer either"))
		conn.Say(0, []byte("what follows"))
		conn.Say(1, []byte("is as told"))
		var last matcher.Verdict
		for _, f := range x.Frames {
			last = w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At)
		}
		if last.Leave != c.want || last.Drop != (c.want == matcher.LeaveDrop) {
			t.Errorf("%s: %+v", c.name, last)
		}
		if !last.Flow.Detect.ProtocolKnown || last.Flow.Detect.Protocol.String() != "tls" {
			t.Errorf("%s: no parser was there to give up: %v", c.name, last.Flow.Detect.Protocol)
		}
	}
}

// Flows that are met in the middle go on, whatever the section says.
func TestMidstreamGoesOn(t *testing.T) {
	for _, open := range []bool{false, true} {
		w := matcher.New(engineConfig(DefaultConfig(""), ids.Document{Mode: ids.Prevent, FailOpen: open}), matcher.Deps{}).Worker()
		x := traffic.New()
		conn := x.Connect(80)
		met := len(x.Frames)
		conn.Say(0, []byte("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"))
		for _, f := range x.Frames[met:] {
			if v := w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At); v.Drop || v.Leave != matcher.Stay {
				t.Errorf("fail open %v: %+v", open, v)
			}
		}
	}
}
