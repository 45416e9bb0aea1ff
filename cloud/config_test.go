package cloud

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func writeFile(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "cloud.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// verdict reads and checks a configuration text.
func verdict(t testing.TB, text string) (Config, Problems) {
	t.Helper()
	cfg, file, err := ReadConfig(writeFile(t, text))
	if err == nil {
		err = cfg.Check(file)
	}
	if err == nil {
		return cfg, nil
	}
	var found Problems
	if !errors.As(err, &found) {
		t.Fatal(err)
	}
	return cfg, found
}

func TestConfigOverDefaults(t *testing.T) {
	got, problems := verdict(t, `
listen: ":80"
tls:
  names: [cloud.example.org, 192.0.2.1]
log: {format: json}
limits:
  streams_per_user: 7
cors_origins: ["https://a.example:8443", "*"]
`)
	if problems != nil {
		t.Fatal(problems)
	}
	want := DefaultConfig()
	want.Listen = ":80"
	want.TLS.Names = []string{"cloud.example.org", "192.0.2.1"}
	want.Log.Format = "json"
	want.Limits.Streams = 7
	want.CORSOrigins = []string{"https://a.example:8443", "*"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "tls:\n"} {
		if got, problems := verdict(t, empty); problems != nil || !cmp.Equal(got, DefaultConfig()) {
			t.Errorf("%q: %v, %v", empty, problems, cmp.Diff(DefaultConfig(), got))
		}
	}
}

func TestConfigProblemsHaveLines(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string // LINE key: part of the message
	}{
		{"unknown key", "listen: ':80'\nlisten_port: 80\n", []string{`2 : unknown field "listen_port"`}},
		{"unknown nested key", "tls:\n  names: []\n  cart: x\n", []string{`3 : unknown field "cart"`}},
		{"key twice", "listen: ':80'\nissuer: x\nlisten: ':81'\n", []string{`3 : mapping key "listen" already defined`}},
		{"wrong kind", "issuer: x\nlimits:\n  body_bytes: many\n", []string{"3 : "}},
		{"list for a mapping", "issuer: x\nlimits: [1]\n", []string{"2 : "}},
		{"mapping for a list", "tls:\n  names: {a: b}\n", []string{"2 : "}},
		{"not YAML", "listen: [\n", []string{"1 : "}},
		{"two documents", "issuer: x\n---\nissuer: y\n", []string{"2 : one document"}},
		{"addresses", "listen: localhost\ngrpc_listen: '127.0.0.1:99999'\n", []string{"1 listen: must be like", "2 grpc_listen: must be like"}},
		{"host", "listen: 'a b:80'\n", []string{"1 listen: \"a b\" is no host"}},
		{"the same address", "listen: ':80'\n\ngrpc_listen: ':80'\n", []string{"3 grpc_listen: must differ"}},
		{"lists", "tls:\n  names:\n    - good\n    - not good\ncors_origins:\n  - https://a/b\n  - ftp://a\ntrusted_proxies: [10.0.0.1/8]\n",
			[]string{"4 tls.names[1]: ", "6 cors_origins[0]: ", "7 cors_origins[1]: ", "8 trusted_proxies[0]: "}},
		{"missing half", "issuer: x\ntls:\n  cert: /c.pem\n", []string{"3 tls.key: is needed with tls.cert"}},
		{"missing files", "tls:\n  cert: /nonexistent/c.pem\n  key: /nonexistent/k.pem\n", []string{"2 tls.cert: open /nonexistent/c.pem"}},
		{"names beside files", "tls: {cert: /nonexistent/c.pem, key: /nonexistent/k.pem, names: [a]}\n", []string{"1 tls.cert: ", "1 tls.names: "}},
		{"log", "log:\n  level: loud\n  format: xml\n", []string{`2 log.level: must be debug or info or warn or error, not "loud"`, "3 log.format: "}},
		{"analytics", "analytics:\n  engine: server\n", []string{"2 analytics.addresses: name at least one"}},
		{"analytics cluster", "analytics:\n  engine: embedded\n  cluster: c\n", []string{"3 analytics.cluster: needs engine: server"}},
		{"analytics kind", "analytics:\n  engine: mysql\n  addresses: [x]\n", []string{"2 analytics.engine: ", "3 analytics.addresses[0]: "}},
		{"limits", "limits:\n  body_bytes: 0\n  concurrent_logins: -1\n", []string{"2 limits.body_bytes: must be at least 1", "3 limits.concurrent_logins: "}},
		{"empty values", "data_dir: ''\nissuer: ''\nconnect_url: cloud.example.org\n", []string{"3 connect_url: ", "1 data_dir: ", "2 issuer: "}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, problems := verdict(t, tc.text)
			if len(problems) != len(tc.want) {
				t.Fatalf("got %d problems, want %d:\n%v", len(problems), len(tc.want), problems)
			}
			for i, p := range problems {
				if got := fmt.Sprintf("%d %s: %s", p.Line, p.Key, p.Message); !strings.HasPrefix(got, tc.want[i]) {
					t.Errorf("got  %s\nwant %s", got, tc.want[i])
				}
				if !strings.HasPrefix(p.String(), fmt.Sprintf("%s:%d: ", p.File, p.Line)) {
					t.Error(p.String())
				}
			}
		})
	}
}

func TestProblemOfAFlagHasNoLine(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Listen = "x"
	err := cfg.Check(nil)
	if err == nil || !strings.HasPrefix(err.Error(), "listen: must be like") {
		t.Error(err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MetricsToken = "very secret"
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "cfg", cfg, "token", cfg.MetricsToken)
	if got := b.String() + fmt.Sprintf("%v %+v %#v %s %q", cfg, cfg, cfg, cfg.MetricsToken, cfg.MetricsToken); strings.Contains(got, "very") {
		t.Error(got)
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add("listen: ':80'\ntls: {names: [a]}\n")
	f.Add("a: &a [*a]")
	f.Add("? x\n: - y\n---\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range second(verdict(t, text)) {
			if p.Message == "" {
				t.Errorf("a problem without words: %+v", p)
			}
		}
	})
}

func second[A, B any](_ A, b B) B { return b }
