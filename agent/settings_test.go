package agent

import (
	"testing"

	"ngfw.sh/agent/settings"
	"ngfw.sh/dataplane"
)

// Settings know nothing of the data plane; their defaults agree here.
func TestDefaultsAgree(t *testing.T) {
	s, d := settings.Default(), dataplane.DefaultConfig()
	if s.Flow.MaxFlows != int(d.MaxFlows) || s.BPFDir != d.Pins || string(s.XDP) != string(d.XDP) {
		t.Errorf("settings say %d flows, %s, XDP %s; the data plane %d, %s, %s", s.Flow.MaxFlows, s.BPFDir, s.XDP, d.MaxFlows, d.Pins, d.XDP)
	}
}
