package eve

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

// Examples of the specification of Community ID.
func TestCommunityID(t *testing.T) {
	for _, c := range []struct {
		src, dst string
		protocol uint8
		want     string
	}{
		{"128.232.110.120:34855", "66.35.250.204:80", 6, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"66.35.250.204:80", "128.232.110.120:34855", 6, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"192.168.0.89:8", "192.168.0.1:0", 1, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{"192.168.0.1:0", "192.168.0.89:0", 1, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{"192.168.1.52:54585", "8.8.8.8:53", 17, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
	} {
		if got := CommunityID(0, netip.MustParseAddrPort(c.src), netip.MustParseAddrPort(c.dst), c.protocol); got != c.want {
			t.Errorf("%s > %s: %s", c.src, c.dst, got)
		}
	}
}

func TestAlert(t *testing.T) {
	r, err := rule.NewParser(rule.DefaultConfig()).Parse(
		`drop tcp any any -> any any (msg:"a test"; reference:cve,2024-1; metadata:k v; classtype:trojan-activity; target:dest_ip; sid:7; rev:2;)`)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cfg := DefaultConfig()
	cfg.Inline, cfg.PayloadLimit = true, 4
	w := New(cfg, &out)
	p := &packet.Packet{
		Time: 1_500_000_000_123456000, Number: 3, Version: 4, Protocol: 6, Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("198.51.100.2"),
		SrcPort: 1, DstPort: 80, Transport: make([]byte, 20), Payload: []byte("ab\x00cd"), Frame: []byte("frame"),
	}
	w.Alert(&ids.Alert{Packet: p, Match: &detect.Match{Rule: r, Action: r.Action}, Blocked: true})
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || w.Err() != nil {
		t.Fatal(err, w.Err())
	}
	want := map[string]any{
		"timestamp": "2017-07-14T02:40:00.123456+0000", "event_type": "alert", "pcap_cnt": 3.0, "src_ip": "192.0.2.1", "src_port": 1.0, "dest_ip": "198.51.100.2", "dest_port": 80.0,
		"proto": "TCP", "ip_v": 4.0, "pkt_src": "wire/pcap", "community_id": CommunityID(0, netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("198.51.100.2:80"), 6),
		"alert": map[string]any{
			"action": "blocked", "gid": 1.0, "signature_id": 7.0, "rev": 2.0, "signature": "a test", "category": "A Network Trojan was detected", "severity": 1.0,
			"source": map[string]any{"ip": "192.0.2.1", "port": 1.0}, "target": map[string]any{"ip": "198.51.100.2", "port": 80.0},
			"references": []any{"2024-1"}, "metadata": map[string]any{"k": []any{"v"}},
		},
		"verdict": map[string]any{"action": "drop"}, "payload": "YWIAYw==", "payload_printable": "ab.c", "payload_length": 5.0, "stream": 0.0, "packet": "ZnJhbWU=",
		"packet_info": map[string]any{"linktype": 101.0},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestNest(t *testing.T) {
	got := nest(map[string]uint64{"a.b": 1, "a.c": 2, "d": 3})
	if d := cmp.Diff(map[string]any{"a": map[string]any{"b": uint64(1), "c": uint64(2)}, "d": uint64(3)}, got); d != "" {
		t.Error(d)
	}
}
