package qos_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/config/qos"
	"ngfw.sh/internal/fault"
)

// TestGolden: a section as somebody may write it, and as it is kept.
func TestGolden(t *testing.T) {
	given, err := os.ReadFile(filepath.Join("testdata", "given.json"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "kept.json"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := qos.Decode(given)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Error(diff)
	}
	again, err := qos.Decode(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, again); diff != "" {
		t.Error(diff)
	}
}

func TestDefault(t *testing.T) {
	d, err := qos.Decode([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(qos.Default(), d); diff != "" {
		t.Error(diff)
	}
	text, err := json.Marshal(d)
	if want := `{"enabled":false,"upload_mbps":0,"download_mbps":0,"scheduler":"fq_codel","classes":[],"device_limits":[]}`; err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
}

func TestInOrder(t *testing.T) {
	d, err := qos.Decode([]byte(`{"classes":[{"id":1,"name":"a","priority":5},{"id":2,"name":"b","priority":0},{"id":3,"name":"c","priority":5},{"id":4,"name":"d","priority":1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, c := range d.InOrder() {
		got = append(got, c.ID)
	}
	if diff := cmp.Diff([]int64{2, 4, 1, 3}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRange(t *testing.T) {
	for text, want := range map[qos.Port]qos.Range{
		"443":         {From: 443, To: 443},
		"tcp/22":      {Protocol: qos.TCP, From: 22, To: 22},
		"udp/5-65535": {Protocol: qos.UDP, From: 5, To: 65535},
	} {
		if got, err := text.Range(); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestApplicationsHaveWellFormedPorts(t *testing.T) {
	for _, name := range qos.Applications() {
		ports, ok := qos.ApplicationPorts(name)
		if !ok {
			t.Error(name)
		}
		for _, p := range ports {
			if _, err := p.Range(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	const on = `"enabled":true,"upload_mbps":20,"download_mbps":100`
	class := func(rest string) string { return `{"classes":[{"id":1,"name":"a"` + rest + `}]}` }
	device := func(rest string) string { return `{"device_limits":[{"mac":"02:00:00:00:00:01"` + rest + `}]}` }
	for text, want := range map[string]string{
		`[]`:                                       "",
		`{} {}`:                                    "",
		`{"unknown":1}`:                            "unknown",
		`{"enabled":"yes"}`:                        "enabled",
		`{"enabled":true}`:                         "upload_mbps",
		`{"upload_mbps":-1}`:                       "upload_mbps",
		`{"download_mbps":0.01}`:                   "download_mbps",
		`{"download_mbps":100001}`:                 "download_mbps",
		`{"scheduler":"pfifo"}`:                    "scheduler",
		`{"cake_options":{}}`:                      "cake_options",
		`{"cake_options":{"speed":1}}`:             "speed",
		class(`,"colour":1`):                       "colour",
		class(`,"priority":8`):                     "classes[0].priority",
		class(`,"guaranteed_mbps":0`):              "classes[0].guaranteed_mbps",
		class(`,"max_mbps":200000`):                "classes[0].max_mbps",
		class(`,"applications":["doom"]`):          "classes[0].applications[0]",
		class(`,"dscp_markings":[0,64]`):           "classes[0].dscp_markings[1]",
		class(`,"dscp_markings":["XX"]`):           "dscp_markings",
		class(`,"ports":[0]`):                      "classes[0].ports[0]",
		class(`,"ports":["80-70"]`):                "classes[0].ports[0]",
		class(`,"ports":["sctp/70"]`):              "classes[0].ports[0]",
		class(`,"ports":[65536]`):                  "classes[0].ports[0]",
		class(`,"ports":[true]`):                   "ports",
		class(`},{"id":1,"name":"b"`):              "classes[1].id",
		class(`},{"id":2,"name":"a"`):              "classes[1].name",
		class(`},{"id":2,"name":""`):               "classes[1].name",
		class(`},{"name":"b"`):                     "classes[1].id",
		class(`,"guaranteed_mbps":5,"max_mbps":4`): "classes[0].max_mbps",
		`{"scheduler":"cake","cake_options":{"isolation":"besteffort"}}`: "cake_options.isolation",
		`{"scheduler":"cake","cake_options":{"rtt_ms":0}}`:               "cake_options.rtt_ms",
		device(``):                    "device_limits[0].upload_mbps",
		device(`,"upload_mbps":0`):    "device_limits[0].upload_mbps",
		device(`,"download_mbps":-5`): "device_limits[0].download_mbps",
		device(`,"priority":9`):       "device_limits[0].priority",
		device(`,"priority":1},{"mac":"02-00-00-00-00-01","priority":2`):                                            "device_limits[1].mac",
		device(`,"priority":1},{"mac":"02:00:00:00:00","priority":2`):                                               "device_limits[1].mac",
		device(`,"priority":1},{"mac":"01:00:5e:00:00:01","priority":2`):                                            "device_limits[1].mac",
		`{` + on + `,"classes":[{"id":1,"name":"a","guaranteed_mbps":15},{"id":2,"name":"b","guaranteed_mbps":6}]}`: "classes[1].guaranteed_mbps",
	} {
		_, err := qos.Decode([]byte(text))
		f, ok := fault.As(err)
		if !ok || !slices.ContainsFunc(append(f.Fields, fault.Field{}), func(field fault.Field) bool { return field.Path == want }) || want != "" && f.Field() == "" {
			t.Errorf("%s: %v, want a finding at %q", text, err, want)
		}
	}
	if _, err := qos.Decode([]byte(`{` + on + `,"classes":[{"id":1,"name":"a","guaranteed_mbps":15},{"id":2,"name":"b","guaranteed_mbps":5}]}`)); err != nil {
		t.Errorf("guarantees that just fit: %v", err)
	}
}
