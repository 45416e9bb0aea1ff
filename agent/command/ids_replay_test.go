package command

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// capture writes one UDP datagram as a pcap file.
func capture(t *testing.T, payload string) string {
	t.Helper()
	ip := []byte{0x45, 0, 0, byte(28 + len(payload)), 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2, 0x10, 0, 0x10, 1, 0, byte(8 + len(payload)), 0, 0}
	ip = append(ip, payload...)
	var b bytes.Buffer
	for _, v := range []any{uint32(0xa1b2c3d4), uint16(2), uint16(4), uint32(0), uint32(0), uint32(65535), uint32(101), uint32(1700000000), uint32(0), uint32(len(ip)), uint32(len(ip))} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	return write(t, filepath.Join(t.TempDir(), "x.pcap"), b.String()+string(ip))
}

func TestIDSReplay(t *testing.T) {
	dir := t.TempDir()
	settings := write(t, filepath.Join(dir, "suricata.yaml"), "%YAML 1.1\n---\nstream:\n  midstream: yes\nlogging:\n  level: info\n")
	pcap := capture(t, "hello evil world")
	rules := write(t, filepath.Join(dir, "x.rules"), "drop udp any any -> any any (msg:\"found\"; content:\"evil\"; sid:5;)\nalert udp any any -> any any (lua:x; sid:6;)\n")

	got := run(t, settings, "", "ids", "replay", "--rules", rules, "--pcap", pcap, "--ips", "--ignore-checksums", "--midstream", "--set", "no.such=1")
	if got.code != 0 || !strings.Contains(got.err, "without meaning here: logging.level, no.such\n") || !strings.Contains(got.err, "sid 6: lua: ") {
		t.Errorf("%d %s", got.code, got.err)
	}
	kinds := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(got.out), "\n") {
		var e struct {
			EventType string `json:"event_type"`
			Alert     struct {
				Action    string
				Signature string
			}
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kinds[e.EventType]++
		if e.EventType == "alert" && (e.Alert.Action != "blocked" || e.Alert.Signature != "found") {
			t.Errorf("%+v", e)
		}
	}
	if kinds["alert"] != 1 || kinds["drop"] != 1 || kinds["flow"] != 1 || kinds["stats"] != 1 {
		t.Error(kinds)
	}

	out := filepath.Join(dir, "eve.json")
	if got := run(t, settings, "", "ids", "replay", "--rules", rules, "--pcap", pcap, "--eve", out); got.code != 0 || got.out != "" {
		t.Errorf("%+v", got)
	}
	if text, err := os.ReadFile(out); err != nil || !strings.Contains(string(text), `"allowed"`) {
		t.Errorf("%v: %s", err, text)
	}
	for _, args := range [][]string{{}, {"--rules", rules}, {"--rules", rules, "--pcap", pcap, "--set", "x"}} {
		if got := run(t, settings, "", append([]string{"ids", "replay"}, args...)...); got.code != 2 {
			t.Errorf("%v: %+v", args, got)
		}
	}
	for _, args := range [][]string{
		{"--rules", rules, "--pcap", rules}, {"--rules", filepath.Join(dir, "none"), "--pcap", pcap}, {"--rules", rules, "--pcap", pcap, "--set", "stream.midstream=x"},
	} {
		if got := run(t, settings, "", append([]string{"ids", "replay"}, args...)...); got.code != 1 || strings.Count(got.err, "\n") > 3 {
			t.Errorf("%v: %+v", args, got)
		}
	}
}
