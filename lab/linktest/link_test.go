package linktest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/agent/link"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestConversation(t *testing.T) {
	c := newCloud(t)
	c.start()
	r := newRouter(t, linkConfig(c))
	r.traffic(50)
	r.arrived(c)
	eventually(t, "metrics", func() bool { var n int; c.with(func() { n = c.metrics }); return n >= 3 })
	c.with(func() {
		if got := c.events[0]; got != "connected dev1 test" {
			t.Errorf("first report: %s", got)
		}
		if len(c.statuses) == 0 || c.statuses[0].Status.GetUptime() != 7 || c.statuses[0].Hardware.GetModel() != "box" {
			t.Errorf("statuses %v", c.statuses)
		}
	})
	st := r.client.State()
	if !st.Connected || st.DeviceID != "dev1" || !st.ClockKnown || st.ClockOffset.Abs() > 2*time.Second {
		t.Errorf("state %+v", st)
	}
	if at, ok := r.client.Endpoint(); !ok || at.String() != c.address || !slices.Contains(r.dialled, at) {
		t.Errorf("endpoint %v, dialled %v, cloud at %s", at, r.dialled, c.address)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	reply, err := c.link().Ask(ctx, "dev1", &ngfwv1.CloudMessage{Payload: &ngfwv1.CloudMessage_StatusRequest{StatusRequest: &ngfwv1.StatusQuery{}}})
	if err != nil || reply.GetStatus().GetStatus().GetUptime() != 7 || reply.GetStatus().Hardware != nil {
		t.Errorf("status on request: %v, %v", reply, err)
	}
	reply, err = c.link().Ask(ctx, "dev1", &ngfwv1.CloudMessage{Payload: &ngfwv1.CloudMessage_Exec{Exec: &ngfwv1.Exec{CommandId: "1", Command: "ping"}}})
	if err != nil || reply.GetExecResult().GetExitCode() != -1 || !strings.Contains(reply.GetExecResult().GetStderr(), `"ping" is not allowed`) {
		t.Errorf("exec: %v, %v", reply, err)
	}
	for _, m := range []*ngfwv1.CloudMessage{
		{Payload: &ngfwv1.CloudMessage_Reboot{Reboot: &ngfwv1.Reboot{}}},
		{Payload: &ngfwv1.CloudMessage_Shutdown{Shutdown: &ngfwv1.Shutdown{}}},
		{Payload: &ngfwv1.CloudMessage_Upgrade{Upgrade: &ngfwv1.Upgrade{Version: "9"}}},
	} {
		reply, err := c.link().Ask(ctx, "dev1", m)
		if err != nil || reply.GetCommandAck() == nil || reply.GetCommandAck().Accepted || !strings.Contains(reply.GetCommandAck().Error, "not supported by this agent version") {
			t.Errorf("%v: %v, %v", m, reply, err)
		}
	}
	reply, err = c.link().Ask(ctx, "dev1", &ngfwv1.CloudMessage{}) // a message from the future
	if err != nil || reply.GetError().GetCode() != "UNSUPPORTED" {
		t.Errorf("unknown payload: %v, %v", reply, err)
	}
	r.traffic(1)
	r.arrived(c)

	r.stop()
	eventually(t, "disconnection reported", func() bool {
		var last string
		c.with(func() { last = c.events[len(c.events)-1] })
		return last == "disconnected dev1" && !c.link().Online("dev1")
	})
	if _, err := c.link().Ask(ctx, "dev1", &ngfwv1.CloudMessage{}); !fault.Is(err, fault.DeviceOffline) {
		t.Errorf("ask an absent router: %v", err)
	}
}

func TestCloudComesAndGoesOnTheSamePort(t *testing.T) {
	c := newCloud(t)
	c.start()
	r := newRouter(t, linkConfig(c))
	for range 6 {
		r.traffic(20)
		c.stop()
		r.traffic(20) // the spool takes what nobody hears
		c.start()
		r.traffic(5)
	}
	r.arrived(c)
}

// The cloud stores a batch and dies before it can say so.
func TestAcknowledgementLost(t *testing.T) {
	c := newCloud(t)
	died := make(chan struct{}, 1)
	var stored, dying atomic.Int64
	c.afterHook = func(*ngfwv1.FlowBatch) error {
		if n := stored.Add(1); n%7 == 0 && dying.CompareAndSwap(0, 1) {
			died <- struct{}{}
			return errDown // the outcome never becomes an acknowledgement
		}
		if dying.Load() == 1 {
			return errDown
		}
		return nil
	}
	// The retry within the connection would repair it: let it have no time.
	c.cfg.RetryMin, c.cfg.RetryMax = time.Hour, time.Hour
	c.start()
	r := newRouter(t, linkConfig(c))
	for range 5 {
		r.traffic(20)
		<-died
		c.stop()
		dying.Store(0)
		c.start()
	}
	// One round may still die on the way to the end.
	done := make(chan struct{})
	var restarts sync.WaitGroup
	restarts.Go(func() {
		for {
			select {
			case <-died:
				c.stop()
				dying.Store(0)
				c.start()
			case <-done:
				return
			}
		}
	})
	eventually(t, "all batches acknowledged", func() bool { return r.spool.Stats().Batches == 0 })
	close(done)
	restarts.Wait()
	r.arrived(c)
}

// A store that fails leaves the connection alone and is asked again, in order.
func TestStoreFailsForAWhile(t *testing.T) {
	c := newCloud(t)
	c.storeHook = func(attempt int, _ *ngfwv1.FlowBatch) error {
		if attempt%3 != 0 {
			return errDown
		}
		return nil
	}
	c.start()
	r := newRouter(t, linkConfig(c))
	r.traffic(40)
	r.arrived(c)
	c.with(func() {
		if n := strings.Count(strings.Join(c.events, "\n"), "connected"); n != 1 {
			t.Errorf("the connection was made %d times", n)
		}
	})
}

// A batch that can never be stored does not hold up the others.
func TestUnstorableBatchIsRefused(t *testing.T) {
	c := newCloud(t)
	c.storeHook = func(_ int, b *ngfwv1.FlowBatch) error {
		if b.Number == 3 {
			return fault.New(fault.BadRequest, "an address of 5 bytes")
		}
		return nil
	}
	c.start()
	r := newRouter(t, linkConfig(c))
	r.traffic(6)
	eventually(t, "all batches acknowledged", func() bool { return r.spool.Stats().Batches == 0 })
	if d := cmp.Diff([]uint64{1, 2, 4, 5, 6}, c.flows()); d != "" {
		t.Fatal(d)
	}
}

// While a batch is stuck in the store, at most a window is in flight, and
// metrics, requests and configuration go on.
func TestSlowStoreDelaysOnlyBatches(t *testing.T) {
	c := newCloud(t)
	release := make(chan struct{})
	var once sync.Once
	free := func() { once.Do(func() { close(release) }) }
	t.Cleanup(free) // before the cloud's own clean-up, which waits for the store
	c.storeHook = func(int, *ngfwv1.FlowBatch) error { <-release; return nil }
	c.cfg.WindowBatches = 4
	c.sections, c.version = map[string][]byte{"firewall": []byte(`{}`)}, 1
	c.start()
	t.Cleanup(free)
	r := newRouter(t, linkConfig(c))
	r.traffic(100)
	var before int
	eventually(t, "a batch is being stored", func() bool { var n int; c.with(func() { n = c.attempts; before = c.metrics }); return n == 1 })
	eventually(t, "metrics go on", func() bool { var n int; c.with(func() { n = c.metrics }); return n > before+5 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := c.link().Ask(ctx, "dev1", &ngfwv1.CloudMessage{Payload: &ngfwv1.CloudMessage_StatusRequest{StatusRequest: &ngfwv1.StatusQuery{}}}); err != nil {
		t.Fatal(err)
	}
	c.with(func() { c.sections, c.version = map[string][]byte{"firewall": []byte(`{"rules":[]}`)}, 2 })
	c.link().Wanted("dev1")
	eventually(t, "configuration applied", func() bool { return r.Applied()["firewall"] == 2 })
	free()
	r.arrived(c)
}

func TestRemovedDeviceIsCutOffAndDoesNotHammer(t *testing.T) {
	c := newCloud(t)
	c.start()
	cfg := linkConfig(c)
	cfg.ReconnectMin, cfg.ReconnectMax = time.Millisecond, 200*time.Millisecond
	r := newRouter(t, cfg)
	r.traffic(3)
	r.arrived(c)
	c.with(func() { delete(c.keys, goodKey) })
	begun := time.Now()
	c.link().Disconnect("dev1")
	eventually(t, "stream ended", func() bool { return !r.client.State().Connected })
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the stream ended after %v", took)
	}
	r.traffic(3)
	eventually(t, "refused twice", func() bool { var n int; c.with(func() { n = c.refused }); return n >= 2 })
	// Two refusals: each waited the long end, at least 100 ms.
	if took := time.Since(begun); took < 200*time.Millisecond {
		t.Errorf("two attempts within %v", took)
	}
	if got := r.client.State().LastError; !strings.Contains(got, "refused by the cloud") {
		t.Errorf("last error %q", got)
	}
	if n := len(c.flows()); n != 3 {
		t.Errorf("%d rows of a removed device", n)
	}
	c.with(func() { c.keys[goodKey] = deviceOf("dev1") })
	r.arrived(c) // and it recovers when it is wanted again
}

// A key that is revoked between its check and the registration finds nobody to
// disconnect; it must not slip in.
func TestRemovalDuringAuthentication(t *testing.T) {
	c := newCloud(t)
	c.start()
	slow := &revokedOnTheWay{cloud: c}
	server := serveWith(t, c, slow)
	cfg := linkConfig(c)
	cfg.Server = "grpcs://" + server.address
	r := newRouter(t, cfg)
	eventually(t, "refused", func() bool { return strings.Contains(r.client.State().LastError, "refused") })
	if server.link.Online("dev1") || r.client.State().Connected {
		t.Fatal("a revoked key is connected")
	}
}

func TestNewerConnectionReplacesTheOlder(t *testing.T) {
	c := newCloud(t)
	c.start()
	cfg := linkConfig(c)
	cfg.ReconnectMin, cfg.ReconnectMax = time.Hour, time.Hour // the loser stays away
	first := newRouter(t, cfg)
	eventually(t, "first connected", func() bool { return first.client.State().Connected && c.link().Online("dev1") })
	second := newRouter(t, linkConfig(c))
	eventually(t, "second alone connected", func() bool { return second.client.State().Connected && !first.client.State().Connected })
	if got := first.client.State().LastError; !strings.Contains(got, "replaced by a newer connection") {
		t.Errorf("first: %q", got)
	}
	second.traffic(5)
	second.arrived(c)
	eventually(t, "two connections, none disconnected", func() bool {
		ok := false
		c.with(func() {
			ok = len(c.events) == 2 && !strings.Contains(strings.Join(c.events, " "), "disconnected")
		})
		return ok
	})
}

func TestConfiguration(t *testing.T) {
	c := newCloud(t)
	c.mode = "takeover"
	c.version, c.sections = 5, map[string][]byte{"firewall": []byte(`{"a":1}`), "dns": []byte(`{}`)}
	c.start()
	r := newRouter(t, linkConfig(c))
	r.mu.Lock()
	r.refuse = func(_ string, version int64) error {
		if version == 7 {
			return fault.Invalid("rules[3].source", "no such group")
		}
		return nil
	}
	r.mu.Unlock()
	last := func(want string) {
		t.Helper()
		eventually(t, want, func() bool {
			ok := false
			c.with(func() { ok = len(c.events) > 0 && c.events[len(c.events)-1] == want })
			return ok
		})
	}
	eventually(t, "connected", func() bool { return c.link().Online("dev1") })
	last("applied dev1 full 5")
	want := []string{"mode takeover", `full {"dns":{},"firewall":{"a":1}}`}
	if d := cmp.Diff(want, r.given()); d != "" {
		t.Fatal(d)
	}

	change := func(version int64, doc string) {
		c.with(func() {
			c.version, c.sections = version, map[string][]byte{"firewall": []byte(doc), "dns": []byte(`{}`)}
		})
		begun := time.Now()
		c.link().Wanted("dev1")
		eventually(t, "answer", func() bool {
			ok := false
			c.with(func() { ok = strings.Contains(strings.Join(c.events, "\n"), fmt.Sprintf(" firewall %d", version)) })
			return ok
		})
		t.Logf("REST answer to outcome in the cloud: %v", time.Since(begun))
	}
	change(6, `{"a":2}`)
	last("applied dev1 full 6")
	change(7, `{"a":3}`)
	last("failed dev1 firewall 7 rules[3].source: no such group")
	change(8, `{"a":3}`) // the same content again, because it failed
	last("applied dev1 full 8")
	want = append(want, `firewall {"a":2}`, `firewall {"a":3}`)
	if d := cmp.Diff(want, r.given()); d != "" {
		t.Fatal(d)
	}

	// What is wanted while the router is away is pushed when it comes back.
	c.stop()
	c.with(func() {
		c.version, c.sections = 9, map[string][]byte{"firewall": []byte(`{"a":4}`), "dns": []byte(`{}`)}
	})
	c.start()
	last("applied dev1 full 9")

	// A cloud restored from an old backup.
	c.stop()
	c.with(func() { c.version = 4 })
	c.start()
	eventually(t, "older version reported", func() bool {
		ok := false
		c.with(func() { ok = strings.Contains(strings.Join(c.events, "\n"), "failed dev1 firewall 4") })
		return ok
	})
	if got := r.Applied()["firewall"]; got != 9 {
		t.Errorf("version %d runs", got)
	}
}

func TestWantedCoalesces(t *testing.T) {
	c := newCloud(t)
	c.version, c.sections = 1, map[string][]byte{"firewall": []byte(`0`)}
	c.start()
	r := newRouter(t, linkConfig(c))
	for v := int64(2); v <= 200; v++ {
		c.with(func() { c.version, c.sections = v, map[string][]byte{"firewall": fmt.Append(nil, v)} })
		c.link().Wanted("dev1")
	}
	eventually(t, "newest applied", func() bool { return r.Applied()["firewall"] == 200 })
	eventually(t, "newest reported", func() bool {
		ok := false
		c.with(func() { ok = slices.Contains(c.events, "applied dev1 full 200") })
		return ok
	})
	c.with(func() {
		if strings.Contains(strings.Join(c.events, "\n"), "failed") {
			t.Errorf("a superseded version was reported as failed: %v", c.events)
		}
	})
}

func TestWrongKeyWrongCAAndWrongScheme(t *testing.T) {
	c := newCloud(t)
	c.start()
	for name, tt := range map[string]struct {
		change func(*link.Config)
		want   string
	}{
		"key":    {func(cfg *link.Config) { cfg.APIKey = "ngfw_dev_wrong" }, "refused by the cloud: authentication failed"},
		"device": {func(cfg *link.Config) { cfg.DeviceID = "dev2" }, "refused by the cloud: authentication failed"},
		"CA":     {func(cfg *link.Config) { cfg.CAFile = newAuthority(t).caFile }, "give the cloud's CA with --ca-file"},
		"no CA":  {func(cfg *link.Config) { cfg.CAFile = "" }, "is not signed by an authority of this system"},
		"no TLS": {func(cfg *link.Config) { cfg.Server = "grpc://" + c.address }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := linkConfig(c)
			tt.change(&cfg)
			r := newRouter(t, cfg)
			eventually(t, "an error", func() bool { e := r.client.State().LastError; return e != "" && strings.Contains(e, tt.want) })
			if r.client.State().Connected || strings.Contains(r.client.State().LastError, "ngfw_dev_") {
				t.Errorf("state %+v", r.client.State())
			}
		})
	}
}

func TestPlaintextOnLoopback(t *testing.T) {
	c := newCloud(t)
	c.plaintext = true
	c.start()
	cfg := linkConfig(c)
	cfg.Server = "grpc://" + c.address
	r := newRouter(t, cfg)
	r.traffic(3)
	r.arrived(c)
}

// Twenty routers' worth of noise: one key connecting from everywhere at once,
// while the cloud restarts.
func TestManyConnectionsOfOneDevice(t *testing.T) {
	c := newCloud(t)
	c.start()
	var rs []*router
	for range 8 {
		cfg := linkConfig(c)
		cfg.ReconnectMax = 100 * time.Millisecond
		rs = append(rs, newRouter(t, cfg))
	}
	for _, r := range rs {
		r.traffic(10)
	}
	c.stop()
	c.start()
	for _, r := range rs[1:] {
		eventually(t, "its batches arrived", func() bool { return r.spool.Stats().Batches == 0 })
		r.stop()
	}
	eventually(t, "the last one's too", func() bool { return rs[0].spool.Stats().Batches == 0 })
	c.with(func() {
		if len(c.order) != 80 || c.doubles != 0 {
			t.Errorf("%d batches stored, %d twice", len(c.order), c.doubles)
		}
	})
}
