package agent_test

import (
	"encoding/json"
	"testing"
)

func TestHitsAreTrue(t *testing.T) {
	r := newRouter(t)
	r.rules(`{"id":3,"name":"web","zone_from":"LAN","zone_to":"WAN","protocol":"tcp","port":"80","action":"accept"}`)
	r.startPolicy()
	before := r.wire("lan1")
	r.passes("lan1", curl("http://203.0.113.1/bytes/3000000")...)
	after := r.wire("lan1")
	// IP bytes on the wire, so without the 14 bytes of Ethernet each.
	packets := after.packets - before.packets
	bytes := after.bytes - before.bytes - 14*packets
	hits := r.metric(`ngfw_rule_packets_total{rule_id="3"}`)
	hitBytes := r.metric(`ngfw_rule_bytes_total{rule_id="3"}`)
	// The interface also carried neighbour discovery, and a GSO packet counts
	// once there: hits cannot be fewer, and bytes agree within the headers that
	// segmentation repeats.
	if hits < packets-20 {
		t.Errorf("rule counted %v packets, the interface carried %v", hits, packets)
	}
	wantPackets := 3000000.0 / 1460
	if hits < wantPackets {
		t.Errorf("rule counted %v packets, 3 MB need at least %v segments", hits, wantPackets)
	}
	if hitBytes < bytes-2000 || hitBytes > bytes+hits*60 {
		t.Errorf("rule counted %v bytes, the interface carried %v", hitBytes, bytes)
	}
}

type wire struct{ packets, bytes float64 }

// wire reads what an interface of the router has carried, both ways.
func (r *router) wire(name string) wire {
	r.t.Helper()
	var links []struct {
		Stats64 map[string]struct{ Bytes, Packets float64 } `json:"stats64"`
	}
	if err := json.Unmarshal([]byte(r.Exec("rtr", "ip", "-j", "-s", "link", "show", "dev", name)), &links); err != nil {
		r.t.Fatal(err)
	}
	s := links[0].Stats64
	return wire{s["rx"].Packets + s["tx"].Packets, s["rx"].Bytes + s["tx"].Bytes}
}
