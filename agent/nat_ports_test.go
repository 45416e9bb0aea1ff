package agent_test

import (
	"errors"
	"fmt"
	"testing"
)

// TestNATOutOfPorts: a pool of two ports carries two flows to one place; the
// third is dropped and counted, and those that have theirs go on.
func TestNATOutOfPorts(t *testing.T) {
	r := newRouter(t)
	r.rulesAndNAT(nil,
		`{"id":1,"name":"pool","nat_type":"snat","protocol":"udp","source":"10.77.1.0/24","translate_to":"203.0.113.2","translate_port":"50000-50001","interface":"wan"}`)
	r.startPolicy()
	ask := func(port int) []string {
		return []string{"dig", "+time=1", "+tries=1", "-b", fmt.Sprintf("10.77.1.10#%d", port), "@" + inet4, "web.lab.test"}
	}
	failures := func() float64 { return r.metric(`ngfw_conntrack_failures_total{kind="no_port"}`) }
	before := failures()
	r.passes("lan1", ask(40001)...)
	r.passes("lan1", ask(40002)...)
	if n := failures(); n != before {
		t.Errorf("%v failures while ports were left", n-before)
	}
	r.blocked("lan1", ask(40003)...)
	r.eventually(func() error {
		if failures() == before && r.metric(`ngfw_drops_total{reason="nat_mismatch"}`) == 0 {
			return errors.New("a flow without a port is counted nowhere")
		}
		return nil
	})
	if failures() == before {
		t.Error("it is not counted for what it is")
	}
	r.passes("lan1", ask(40002)...)
}
