package ids_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/eve"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/traffic"
)

// odd is a connection with something wrong on each layer.
func odd() []traffic.Frame {
	x := traffic.New()
	c := x.Connect(80)
	c.Say(0, []byte("GET / HTTP/1.1\r\nHost: a.example\r\nno colon here\r\n\r\n"))
	c.Say(1, []byte(ok))
	c.End()
	x.Connect(81)
	n := len(x.Frames)
	repeated := x.Frames[n-3] // a SYN in an established connection
	short := traffic.Frame{At: x.Frames[n-1].At, Data: []byte{0x45, 0}}
	return append(slices.Clone(x.Frames), repeated, short)
}

func TestAnomalies(t *testing.T) {
	e, log := engine(t, ids.DefaultConfig(), "alert tcp any any -> any any (flags:U; sid:1;)")
	w := e.Worker()
	run(w, odd())
	w.Finish()
	has := func(prefix string) bool {
		return slices.ContainsFunc(log.odd, func(s string) bool { return strings.HasPrefix(s, prefix) })
	}
	if !has("decode decoder.ipv4.") || !has("stream stream.") || !slices.Contains(log.odd, "applayer request_field_missing_colon") {
		t.Errorf("%q", log.odd)
	}

	// The log has those that are wanted: by default the application's.
	for _, kinds := range [][]string{{"applayer"}, {"decode", "stream"}} {
		cfg := eve.DefaultConfig()
		cfg.Kinds = map[string]bool{"anomaly": true}
		if kinds[0] != "applayer" {
			cfg.Anomalies = map[string]bool{"decode": true, "stream": true}
		}
		var out bytes.Buffer
		w := ids.New(ids.DefaultConfig(), ids.Deps{Log: eve.New(cfg, &out)}).Worker()
		w.Decoder().Verify(false)
		for _, f := range odd() {
			w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At)
		}
		w.Finish()
		var found []string
		for d := json.NewDecoder(&out); d.More(); {
			var e struct {
				EventType string `json:"event_type"`
				TxID      *int   `json:"tx_id"`
				Anomaly   struct {
					Protocol string `json:"app_proto"`
					Type     string
				}
			}
			if err := d.Decode(&e); err != nil {
				t.Fatal(err)
			}
			if e.EventType != "anomaly" || e.Anomaly.Type == "applayer" && (e.Anomaly.Protocol != "http" || e.TxID == nil) {
				t.Errorf("%+v", e)
			}
			found = append(found, e.Anomaly.Type)
		}
		slices.Sort(found)
		if found = slices.Compact(found); !slices.Equal(found, kinds) {
			t.Errorf("%v, want %v", found, kinds)
		}
	}
}
