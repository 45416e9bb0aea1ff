package agent

import (
	"testing"

	"ngfw.sh/agent/settings"
	"ngfw.sh/dataplane"
)

// Settings know nothing of the data plane; their defaults agree here.
func TestDefaultsAgree(t *testing.T) {
	s, d := settings.Default(), dataplane.DefaultConfig()
	if s.Flow.MaxFlows != int(d.MaxFlows) || s.BPFDir != d.Pins || string(s.XDP) != string(d.XDP) || string(s.TC) != string(d.TC) {
		t.Errorf("settings say %d flows, %s, XDP %s, TC %s; the data plane %d, %s, %s, %s", s.Flow.MaxFlows, s.BPFDir, s.XDP, s.TC, d.MaxFlows, d.Pins, d.XDP, d.TC)
	}
}
