package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ngfw.sh/cloud/account"
	"ngfw.sh/cloud/seal"
	"ngfw.sh/cloud/store"
	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// TestBadInput gives a running whole what it must refuse, and holds it to a
// clear word, the right code, and packets that go on.
func TestBadInput(t *testing.T) {
	r := start(t)
	t.Run("token", func(t *testing.T) { r.refusesTokens(t) })
	t.Run("body", func(t *testing.T) { r.refusesBodies(t) })
	t.Run("device key", func(t *testing.T) { r.refusesKeys(t) })
	t.Run("interface that is not there yet", func(t *testing.T) { r.lateInterface(t) })
	if err := r.fetch(lab.LAN1, r.env["NGFW_LAB_HTTP"]); err != nil {
		t.Error(err)
	}
}

// refused is the error of an answer, of which a caller is told this.
type refused struct {
	Error struct {
		Code, Message, Field string
		Details              struct {
			ValidationErrors []struct{ Field, Message string } `json:"validation_errors"`
		}
	}
}

func (r *run) owner() (o struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}) {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, "cloud", "bootstrap.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := json.Unmarshal(data, &o); err != nil {
		r.t.Fatal(err)
	}
	return o
}

// expired is an access token of this cloud's own, of two hours ago.
func (r *run) expired(t *testing.T) string {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(r.dir, "cloud", "cloud.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	key, err := seal.Load(filepath.Join(r.dir, "cloud", "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	s := account.New(account.DefaultConfig(), account.Deps{Store: db, Seal: key, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(-2 * time.Hour) }})
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := r.owner()
	answer, err := s.Login(t.Context(), &ngfwv1.LoginRequest{Email: o.Email, Password: o.Password})
	if err != nil {
		t.Fatal(err)
	}
	return answer.AccessToken
}

// refusesTokens knows that the same token would do, were it not for one thing.
func (r *run) refusesTokens(t *testing.T) {
	var session struct {
		AccessToken string `json:"access_token"`
	}
	r.api.call(t, http.StatusOK, "POST", "/api/auth/login", r.owner(), &session)
	good := session.AccessToken
	parts := strings.Split(good, ".")
	var claims jwt.MapClaims
	head, _, err := jwt.NewParser().ParseUnverified(good, &claims)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(method jwt.SigningMethod, key any) string {
		forged := jwt.NewWithClaims(method, claims)
		forged.Header["kid"] = head.Header["kid"]
		text, err := forged.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	admin := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(decode(t, parts[1])), `"exp":`, `"admin":1,"exp":`, 1)))
	for name, token := range map[string]string{
		"none":                  "",
		"nonsense":              "nonsense",
		"expired":               r.expired(t),
		"signed by another key": signed(jwt.SigningMethodES256, foreign),
		"signed by a secret":    signed(jwt.SigningMethodHS256, []byte("secret")),
		"not signed":            signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"changed":               parts[0] + "." + admin + "." + parts[2],
		"API token of nobody":   "ngfw_pat_" + strings.Repeat("0", 64),
		"device key":            "ngfw_dev_" + strings.Repeat("0", 32),
	} {
		header := http.Header{"Authorization": {"Bearer " + token}}
		for _, path := range []string{"/api/traffic/logs", "/api/firewall/rules", "/api/traffic/logs/stream"} {
			a, err := r.api.try(t, "GET", path, nil, header.Clone())
			var e refused
			if err != nil || a.status != http.StatusUnauthorized || json.Unmarshal(a.body, &e) != nil || e.Error.Code != "UNAUTHORIZED" || e.Error.Message == "" {
				t.Errorf("%s: GET %s answers %d %s, %v", name, path, a.status, a.body, err)
			}
		}
	}
	if a, err := r.api.try(t, "GET", "/api/firewall/rules", nil, http.Header{"Authorization": {"Bearer " + good}}); err != nil || a.status != http.StatusOK {
		t.Errorf("the good one: %d %s, %v", a.status, a.body, err)
	}
}

func decode(t *testing.T, part string) []byte {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (r *run) refusesBodies(t *testing.T) {
	var before []rule
	r.api.get(t, "/api/firewall/rules", &before)
	with := func(members string) string {
		return `{"name":"x","zone_from":"LAN","zone_to":"WAN","action":"drop"` + members + `}`
	}
	for name, tt := range map[string]struct {
		method, path, body string
		field, word        string
	}{
		"no JSON":                {"POST", "/api/firewall/rules", `{"name":`, "", "JSON"},
		"no object":              {"POST", "/api/firewall/rules", `[1]`, "", ""},
		"nothing":                {"POST", "/api/firewall/rules", ``, "", ""},
		"unknown field":          {"POST", "/api/firewall/rules", with(`,"colour":"red"`), "colour", "unknown"},
		"unknown field, deeper":  {"POST", "/api/firewall/rules", with(`,"schedule":{"enabled":true,"hour":1}`), "schedule.hour", "unknown"},
		"no CIDR":                {"POST", "/api/firewall/rules", with(`,"source":"10.77.2.0/33"`), "source", "10.77.2.0/33"},
		"no CIDR in a list":      {"POST", "/api/firewall/rules", with(`,"destination":"192.0.2.1,2001:db8::/129"`), "destination", "2001:db8::/129"},
		"port without protocol":  {"POST", "/api/firewall/rules", with(`,"port":"80"`), "port", ""},
		"port too large":         {"POST", "/api/firewall/rules", with(`,"protocol":"tcp","port":"65536"`), "port", "65536"},
		"zone that is not there": {"POST", "/api/firewall/rules", `{"name":"x","zone_from":"MOON","zone_to":"WAN","action":"drop"}`, "zone_from", "MOON"},
		"no time of day":         {"POST", "/api/firewall/rules", with(`,"schedule":{"enabled":true,"start":"25:00","end":"06:00"}`), "schedule.start", "25:00"},
		"no country":             {"POST", "/api/firewall/rules", with(`,"source":"geo:Austria"`), "source", "Austria"},
		"frame of no sender":     {"POST", "/api/nat/rules", `{"name":"x","nat_type":"snat","destination":"mac:02:00:00:00:00:01","translate_to":"198.51.100.1"}`, "destination", ""},
		"missing":                {"POST", "/api/firewall/rules", `{"name":"x","zone_from":"LAN","zone_to":"WAN"}`, "action", ""},
		"order of others":        {"PUT", "/api/firewall/rules/order", `{"rule_ids":[999]}`, "rule_ids[0]", "999"},
		"policy of no zone":      {"PUT", "/api/firewall/policies", `[{"from":"LAN","to":"MOON","action":"drop"}]`, "", "MOON"},
		"bad filter":             {"GET", "/api/traffic/logs?src=10.0.0.0/40", "", "src", "10.0.0.0/40"},
	} {
		t.Run(name, func(t *testing.T) {
			var body any
			if tt.method != "GET" {
				body = tt.body
			}
			a := r.api.call(t, http.StatusBadRequest, tt.method, tt.path, body, nil)
			var e refused
			if err := json.Unmarshal(a.body, &e); err != nil {
				t.Fatal(err)
			}
			if e.Error.Code == "" || tt.field != "" && e.Error.Field != tt.field || !strings.Contains(string(a.body), tt.word) {
				t.Errorf("answered by %s, want field %q and the word %q", a.body, tt.field, tt.word)
			}
		})
	}
	var after []rule
	r.api.get(t, "/api/firewall/rules", &after)
	if len(after) != len(before) {
		t.Errorf("%d rules, before %d", len(after), len(before))
	}
}

// agent is a second router's, beside the lab's: in the host that the way to the
// cloud ends in, with a data plane of its own that is never given a policy.
type agent struct {
	run      *run
	settings string
	said     *transcript
	ended    chan error
}

func (r *run) secondAgent(t *testing.T, key string) *agent {
	t.Helper()
	dir := t.TempDir()
	a := &agent{run: r, settings: filepath.Join(dir, "agent.yaml"), said: newTranscript(), ended: make(chan error, 1)}
	text := fmt.Sprintf("state_dir: %q\nbpf_dir: %q\nmetrics_listen: off\n", filepath.Join(dir, "state"), r.lab.BPFDir()+"/second")
	if err := os.WriteFile(a.settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	configure := exec.Command(filepath.Join(r.bin, "ngfw-agent"), "configure", "-", "--config", a.settings,
		"--server", "grpcs://198.18.0.2:9090", "--ca-file", filepath.Join(r.dir, "cloud", "ca.pem"))
	configure.Stdin = strings.NewReader(key)
	if out, err := configure.CombinedOutput(); err != nil {
		t.Fatalf("configure: %v: %s", err, out)
	}
	cmd := exec.Command(filepath.Join(r.bin, "ngfw-agent"), "run", "--config", a.settings)
	cmd.Env = append(os.Environ(), owner+"="+r.name, "GORACE=log_path="+r.races())
	cmd.Stdout, cmd.Stderr = a.said, a.said
	wait, err := r.lab.Start(lab.MGMT, cmd)
	if err != nil {
		t.Fatal(err)
	}
	go func() { a.ended <- wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		<-a.ended
		if t.Failed() {
			t.Logf("the second agent said:\n%s", a.said)
		}
	})
	return a
}

// link is what the agent says of its connection.
func (a *agent) link() (state, reason string, err error) {
	out, err := exec.Command(filepath.Join(a.run.bin, "ngfw-agent"), "status", "-o", "json", "--config", a.settings).Output()
	if err != nil {
		return "", "", err
	}
	var s struct{ Link struct{ State, Error string } }
	err = json.Unmarshal(out, &s)
	return s.Link.State, s.Link.Error, err
}

func (r *run) refusesKeys(t *testing.T) {
	t.Run("wrong", func(t *testing.T) {
		a := r.secondAgent(t, "ngfw_dev_"+strings.Repeat("0", 32))
		if !a.said.await("the cloud refuses this router", patience, a.ended) {
			t.Error("it does not say that it is refused")
		}
		labtest.Eventually(t, patience, func() error {
			state, reason, err := a.link()
			if err == nil && (state == "connected" || !strings.Contains(reason, "refused by the cloud")) {
				err = fmt.Errorf("status says %s, %q", state, reason)
			}
			return err
		})
	})
	t.Run("of a device that is removed", func(t *testing.T) {
		var device struct {
			ID     string `json:"id"`
			APIKey string `json:"api_key"`
		}
		r.api.call(t, http.StatusCreated, "POST", "/api/fleet/devices", map[string]any{"name": "second"}, &device)
		// Observed only: its interfaces are the lab's way to the cloud.
		r.api.call(t, http.StatusOK, "PUT", "/api/fleet/devices/"+device.ID, map[string]any{"name": "second", "mode": "observe"}, nil)
		a := r.secondAgent(t, device.APIKey)
		labtest.Eventually(t, patience, func() error {
			if s := r.api.deviceStatus(t, device.ID); s.Status != "online" {
				return fmt.Errorf("it is %s", s.Status)
			}
			return nil
		})
		r.api.call(t, http.StatusNoContent, "DELETE", "/api/fleet/devices/"+device.ID, nil, nil)
		if !a.said.await("disconnected: the device was removed", patience, a.ended) {
			t.Error("its stream is not closed, or it is not told why")
		}
		r.api.call(t, http.StatusNotFound, "GET", "/api/fleet/devices/"+device.ID, nil, nil)
	})
	text := r.log("cloud")
	if strings.Contains(text, "ngfw_dev_") {
		t.Error("a device key is in the cloud's log")
	}
	if strings.Contains(text, "level=ERROR") { // a router that is refused is no failure of the cloud
		t.Error("the cloud logs an error")
	}
	r.api.awaitSynced(t)
}

// lateInterface names a port that comes only then.
func (r *run) lateInterface(t *testing.T) {
	var zones []map[string]any
	r.api.get(t, "/api/firewall/zones", &zones)
	for _, z := range zones {
		if z["name"] == "LAN" {
			z["interfaces"] = append(z["interfaces"].([]any), "late0")
			r.api.call(t, http.StatusOK, "PUT", fmt.Sprintf("/api/firewall/zones/%v", z["id"]), z, nil)
		}
	}
	r.api.awaitSynced(t)
	for _, c := range [][]string{
		{lab.RTR, "ip", "link", "add", "late0", "type", "veth", "peer", "name", "late1", "netns", r.lab.Namespace(lab.MGMT)},
		{lab.RTR, "ip", "address", "add", "10.77.9.1/24", "dev", "late0"},
		{lab.RTR, "ip", "link", "set", "late0", "up"},
		{lab.MGMT, "ip", "address", "add", "10.77.9.10/24", "dev", "late1"},
		{lab.MGMT, "ip", "link", "set", "late1", "up"},
		{lab.MGMT, "ip", "route", "add", "203.0.113.0/24", "via", "10.77.9.1"},
	} {
		r.must(c[0], c[1:]...)
	}
	labtest.Eventually(t, patience, func() error { return r.fetch(lab.MGMT, r.env["NGFW_LAB_HTTP"]) })
	labtest.Eventually(t, patience, func() error {
		rows, err := r.api.rows(t, map[string][]string{"src": {"10.77.9.10"}, "event": {"open"}, "port": {"80"}})
		if err == nil && (len(rows) == 0 || rows[0].ZoneFrom != "LAN" || rows[0].Interface != "late0") {
			err = fmt.Errorf("rows %+v", rows)
		}
		return err
	})
	if r.attempt(lab.MGMT, netip.AddrPortFrom(lab.IP4(lab.IOT1), 80), blocked) {
		t.Error("LAN to IOT is open")
	}
}

// TestMissingEngine starts the cloud without the library of its engine.
func TestMissingEngine(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binaries(t), "ngfw-cloud"), "serve", "--data-dir", t.TempDir(), "--listen", freePort(t), "--grpc-listen", freePort(t))
	cmd.Env = append(os.Environ(), "NGFW_CHDB_LIB=/nonexistent/libchdb.so")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v, want exit code 1", err)
	}
	for _, want := range []string{"/nonexistent/libchdb.so", "make deps", "NGFW_CHDB_LIB", "ClickHouse server"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it does not name %s:\n%s", want, &said)
		}
	}
}
