package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"ngfw.sh/internal/fault"
)

const testKey = "ngfw_dev_0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	got, err := Parse([]byte(`# where the cloud is
server: grpcs://cloud.example:9090
ca_file: /etc/ngfw/ca.pem
api_key: ` + testKey + `
state_dir: /data/ngfw
log: {level: debug, format: json}
flow:
  update_interval: 5s
spool:
  max_bytes: 64MiB
  fsync: true
xdp: off
metrics_listen: off
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Server, want.CAFile, want.APIKey = "grpcs://cloud.example:9090", "/etc/ngfw/ca.pem", testKey
	want.StateDir, want.ControlSocket = "/data/ngfw", "/data/ngfw/agent.sock"
	want.Log = Log{Level: "debug", Format: "json"}
	want.Flow.UpdateInterval = 5 * time.Second
	want.Spool = Spool{MaxBytes: 64 << 20, Fsync: true}
	want.XDP, want.MetricsListen = XDPOff, "off"
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestEmptyFileIsDefault(t *testing.T) {
	for _, empty := range []string{"", "\n", "# nothing\n", "---\n", "log:\nflow:\n  max_flows: 0\nbpf_dir: \"\"\n"} {
		got, err := Parse([]byte(empty))
		if err != nil {
			t.Errorf("%q: %v", empty, err)
			continue
		}
		if d := cmp.Diff(Default(), got); d != "" {
			t.Errorf("%q (-want +got):\n%s", empty, d)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ in, field, text string }{
		"unknown key":       {"server: grpcs://c:1\nsevrer: x\n", "", "[2:1]"},
		"unknown inner key": {"log:\n  lever: debug\n", "", "[2:3]"},
		"repeated key":      {"xdp: auto\nxdp: off\n", "", "[2:1]"},
		"wrong type":        {"state_dir: /x\nflow: 5\n", "", "[2:7]"},
		"not YAML":          {"a: b: c\n", "", "[1:"},
		"second document":   {"xdp: auto\n---\nxdp: off\n", "", "second document"},
		"no unit":           {"flow: {update_interval: 10}\n", "", "[1:25] is no length of time"},
		"size":              {"spool:\n  max_bytes: 5 parsecs\n", "", "256MiB"},
		"small spool":       {"spool:\n  max_bytes: 5\n", "spool.max_bytes", "1MiB"},
		"log level":         {"log:\n  level: loud\n", "log.level", `"loud"`},
		"log format":        {"log:\n  format: xml\n", "log.format", "json"},
		"xdp":               {"xdp: fast\n", "xdp", "native"},
		"tc":                {"tc: off\n", "tc", "clsact"},
		"fast path":         {"fast_path: tc\n", "fast_path", "auto"},
		"list without name": {"drop_lists: [{file: /x}]\n", "drop_lists[0].name", "bytes"},
		"list twice":        {"drop_lists: [{name: a, file: /x}, {name: a, file: /y}]\n", "drop_lists[1].name", "two lists"},
		"list's file":       {"drop_lists: [{name: a, file: x}]\n", "drop_lists[0].file", "absolute"},
		"list's match":      {"drop_lists: [{name: a, file: /x, match: both}]\n", "drop_lists[0].match", "either"},
		"list's key":        {"drop_lists: [{name: a, path: /x}]\n", "", "[1:"},
		"list of nothing":   {"drop_lists: [{name: a}]\n", "drop_lists[0].file", "one of file, url and countries"},
		"list of both":      {"drop_lists: [{name: a, file: /x, url: \"https://x/y\"}]\n", "drop_lists[0].file", "one of"},
		"list's url":        {"drop_lists: [{name: a, url: \"http://x/y\"}]\n", "drop_lists[0].url", "https"},
		"list's password":   {"drop_lists: [{name: a, url: \"https://me:secret@x/y\"}]\n", "drop_lists[0].url", "password"},
		"list's interval":   {"drop_lists: [{name: a, url: \"https://x/y\", every: 1s}]\n", "drop_lists[0].every", "1m"},
		"file's interval":   {"drop_lists: [{name: a, file: /x, every: 1h}]\n", "drop_lists[0].url", "for lists with an url"},
		"list's zone":       {"drop_lists: [{name: a, file: /x, zones: [SELF]}]\n", "drop_lists[0].zones", "no packet arrives"},
		"no database":       {"drop_lists: [{name: a, countries: [DE]}]\n", "drop_lists[0].countries", "geoip"},
		"country":           {"geoip: /g\ndrop_lists: [{name: a, countries: [DE, usa]}]\n", "drop_lists[0].countries[1]", "usa"},
		"allowed":           {"drop_allow: [192.0.2.1, router]\n", "drop_allow[1]", "router"},
		"many zones":        {"drop_lists: [{name: a, file: /x, zones: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o]}]\nguards: {zones: {p: {}}}\n", "drop_lists", "16 zones, at most 15"},
		"zone's burst":      {"guards: {zones: {WAN: {new_flows_per_source: {burst: 5}}}}\n", "guards.zones.WAN.new_flows_per_source.per_second", "without a rate"},
		"zone's key":        {"guards: {zones: {WAN: {syns: {burst: 5}}}}\n", "", "[1:"},
		"guard's burst":     {"guards: {syns_per_interface: {burst: 5}}\n", "guards.syns_per_interface.per_second", "without a rate"},
		"interval":          {"flow:\n  update_interval: 5ms\n", "flow.update_interval", "1s"},
		"flows":             {"flow:\n  max_flows: 3\n", "flow.max_flows", "1024"},
		"relative path":     {"state_dir: ngfw\n", "state_dir", "absolute"},
		"long socket":       {"control_socket: /" + strings.Repeat("x", 107) + "\n", "control_socket", "107"},
		"metrics":           {"metrics_listen: 9101\n", "metrics_listen", "host:port"},
		"remote metrics":    {"metrics_listen: 0.0.0.0:9101\n", "metrics_listen", "allow_remote_metrics"},
		"server":            {"server: https://c.example\n", "server", "grpcs"},
		"plaintext":         {"server: grpc://192.0.2.1:9\n", "server", "plain text"},
		"key":               {"api_key: ngfw_dev_12\n", "api_key", "32 hex"},
		"two keys":          {"api_key: " + testKey + "\napi_key_file: /k\n", "api_key_file", "keep one"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tc.in))
			f, ok := fault.As(err)
			if !ok {
				t.Fatalf("%v is no fault", err)
			}
			if f.Field() != tc.field || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("field %q, text %q; want %q and %q in it", f.Field(), err, tc.field, tc.text)
			}
		})
	}
}

func TestRemoteMetricsByName(t *testing.T) {
	for _, in := range []string{"metrics_listen: 0.0.0.0:9101\nallow_remote_metrics: true\n", "metrics_listen: \"[::1]:0\"\n"} {
		if _, err := Parse([]byte(in)); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestAllWrongSettingsAreReported(t *testing.T) {
	_, err := Parse([]byte("xdp: fast\nlog: {level: loud}\n"))
	if f, ok := fault.As(err); !ok || len(f.Fields) != 2 {
		t.Errorf("%v, want two fields", err)
	}
}

// No error may show the key, whatever is wrong around it.
func TestErrorsDoNotShowTheKey(t *testing.T) {
	for _, in := range []string{
		"api_key: " + testKey + "\nnosuch: 1\n",
		"api_key: " + testKey + "\napi_key: " + testKey + "\n",
		"api_key: [" + testKey + "]\n",
		"api_key: {a: " + testKey + "}\n",
		"api_key: " + testKey + "x\n",
		"api_key: " + testKey + "\n\tx: 1\n",
		"api_key: \"" + testKey + "\n",
		"api_key: x: " + testKey + "\n",
		"server: grpcs://user:" + testKey + "@host:1\n",
		"server: grpcs://user:" + testKey + "@host:port\n",
		"server: \"grpcs://h\\x7f/" + testKey + "\"\n",
		"flow: " + testKey + "\n",
		testKey + "\n",
		"- " + testKey + "\n",
		"spool: {fsync: " + testKey + "}\n",
	} {
		_, err := Parse([]byte(in))
		if err == nil {
			t.Errorf("%q was accepted", in)
			continue
		}
		if strings.Contains(err.Error(), testKey[9:25]) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

func TestSecretNeverPrints(t *testing.T) {
	s := Default()
	s.APIKey = testKey
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("settings", "settings", s, "key", s.APIKey, "pointer", &s.APIKey)
	}
	j, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	printed := map[string]string{"slog": log.String(), "json": string(j), "yaml": string(y), "Sprint": fmt.Sprint(s.APIKey), "Sprintln": fmt.Sprintln(s)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%T %v", "%10s", "%U"} {
		printed["secret "+verb] = fmt.Sprintf(verb, s.APIKey)
		printed["settings "+verb] = fmt.Sprintf(verb, s)
		printed["pointer "+verb] = fmt.Sprintf(verb, &s)
	}
	inHex := fmt.Sprintf("%x", testKey[9:17])
	for how, text := range printed {
		if strings.Contains(text, testKey[9:17]) || strings.Contains(strings.ToLower(text), inHex) {
			t.Errorf("%s shows the secret: %s", how, text)
		}
	}
	if !strings.Contains(fmt.Sprintf("%+v", s), "<secret>") {
		t.Error("that there is a secret should be visible")
	}
	if s.APIKey.Expose() != testKey {
		t.Error("the secret is lost")
	}
}

func TestParseServer(t *testing.T) {
	for raw, want := range map[string]Server{
		"grpcs://cloud.example:9090":    {TLS: true, Host: "cloud.example", Port: "9090"},
		"grpcs://[2001:db8::1]:9090":    {TLS: true, Host: "2001:db8::1", Port: "9090"},
		"grpcs://cloud.example:9090/":   {TLS: true, Host: "cloud.example", Port: "9090"},
		"wss://cloud.example":           {TLS: true, WebSocket: true, Host: "cloud.example", Port: "443", Path: "/agent/ws"},
		"wss://cloud.example:8443/a/b":  {TLS: true, WebSocket: true, Host: "cloud.example", Port: "8443", Path: "/a/b"},
		"grpc://127.0.0.1:9090":         {Host: "127.0.0.1", Port: "9090"},
		"grpc://[::1]:9090":             {Host: "::1", Port: "9090"},
		"grpc://localhost:9090":         {Host: "localhost", Port: "9090"},
		"ws://127.3.4.5":                {WebSocket: true, Host: "127.3.4.5", Port: "80", Path: "/agent/ws"},
		"grpc://[::ffff:127.0.0.1]:909": {Host: "::ffff:127.0.0.1", Port: "909"},
	} {
		got, err := ParseServer(raw, false)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", raw, d)
		}
	}
	for _, raw := range []string{
		"", "cloud.example:9090", "grpcs://", "grpcs://cloud.example", "grpcs://c:0", "grpcs://c:70000", "grpcs://c:x", "grpcs://c:9/path",
		"grpcs://c:9?x=1", "grpcs://c:9#x", "grpcs://u@c:9", "https://c", "tcp://c:9", "grpc://cloud.example:9090", "ws://10.0.0.1",
		"grpc://localhost.example:9", "grpc://127.0.0.1.example:9", "grpcs://c:9?",
	} {
		if s, err := ParseServer(raw, false); err == nil {
			t.Errorf("%q was accepted as %+v", raw, s)
		}
	}
	if _, err := ParseServer("grpc://10.0.0.1:9090", true); err != nil {
		t.Errorf("plaintext was allowed by name: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("server: grpcs://c:1\nlog: {level: debug}\n"))
	f.Add([]byte("spool:\n  max_bytes: 1GiB\nxdp: off\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		s, err := Parse(b)
		if err != nil {
			return
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%q was accepted with %v", b, err)
		}
	})
}

func TestKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("  " + testKey + "\n")
	for _, s := range []Settings{{APIKey: testKey}, {APIKeyFile: file}} {
		if key, err := s.Key(); err != nil || key.Expose() != testKey {
			t.Errorf("%+v: %v", s, err)
		}
	}
	write(testKey + "\n" + testKey)
	if _, err := (Settings{APIKeyFile: file}).Key(); err == nil || strings.Contains(err.Error(), testKey) {
		t.Errorf("two keys in a file: %v", err)
	}
	if _, err := (Settings{APIKeyFile: file + ".none"}).Key(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if key, err := (Settings{}).Key(); err != nil || key != "" {
		t.Errorf("no key: %v", err)
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[string]Size{"0": 0, "1": 1, "10B": 10, "256MiB": 256 << 20, "1 GiB": 1 << 30, "5MB": 5e6, "2kB": 2000} {
		got, err := ParseSize(in)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", in, got, err, want)
		}
		if again, err := ParseSize(got.String()); err != nil || again != got {
			t.Errorf("%q comes back as %q", in, got)
		}
	}
	for _, bad := range []string{"", "MiB", "-1", "1.5GiB", "1EiB", "9999999999GiB", "0x10"} {
		if _, err := ParseSize(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestLoadOfMissingFileTellsTheRemedy(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "agent.yaml"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "ngfw-agent configure") {
		t.Error(err)
	}
}
