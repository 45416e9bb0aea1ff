package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ngfw.sh/cloud/api/apitest"
	"ngfw.sh/lab/labtest"
)

// client speaks REST as the owner. Every answer that it gets is held against
// the document that the cloud publishes.
type client struct {
	run      *run
	http     *http.Client
	contract *apitest.Contract

	mu     sync.Mutex
	token  string // one token's requests are limited: another is made then
	tokens int
}

// answer is what came back, and when.
type answer struct {
	status int
	header http.Header
	body   []byte
	at     time.Time
}

func newClient(r *run) *client {
	r.t.Helper()
	c := &client{run: r, http: &http.Client{Timeout: 30 * time.Second}, token: r.env["NGFW_TOKEN"]}
	doc, err := c.send("GET", "/openapi.json", nil, nil)
	if err != nil || doc.status != http.StatusOK {
		r.t.Fatalf("openapi document: %+v, %v", doc, err)
	}
	c.contract = apitest.Load(r.t, doc.body)
	return c
}

// send makes one request, body nil, text, or anything else as JSON.
func (c *client) send(method, path string, body any, header http.Header) (answer, error) {
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, c.run.env["NGFW_URL"]+path, in)
	if err != nil {
		return answer{}, err
	}
	c.mu.Lock()
	req.Header.Set("Authorization", "Bearer "+c.token)
	c.mu.Unlock()
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for key, values := range header {
		req.Header[key] = values
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, text, time.Now()}, err
}

// try is send, for the lab's router unless the header says otherwise, with the
// answer held against the document. A token that has made its requests of this
// minute is replaced.
func (c *client) try(t testing.TB, method, path string, body any, header http.Header) (answer, error) {
	t.Helper()
	if header == nil {
		header = http.Header{}
	}
	if header.Get("X-Device-Id") == "" {
		header.Set("X-Device-Id", c.run.env["NGFW_DEVICE_ID"])
	}
	for {
		a, err := c.send(method, path, body, header)
		if err != nil {
			return a, err
		}
		c.contract.AssertMatches(t, method, path, a.status, a.body)
		if a.status != http.StatusTooManyRequests || header.Get("Authorization") != "" {
			return a, nil
		}
		if err := c.renew(t); err != nil {
			return a, err
		}
	}
}

func (c *client) renew(t testing.TB) error {
	t.Helper()
	c.mu.Lock()
	c.tokens++
	in := map[string]any{"name": "test " + strconv.Itoa(c.tokens), "scopes": []string{"read", "write", "admin"}}
	c.mu.Unlock()
	a, err := c.send("POST", "/api/user/tokens", in, http.Header{"Authorization": {"Bearer " + c.run.env["NGFW_TOKEN"]}})
	if err != nil {
		return err
	}
	c.contract.AssertMatches(t, "POST", "/api/user/tokens", a.status, a.body)
	var made struct{ Token string }
	if err := json.Unmarshal(a.body, &made); err != nil || a.status != http.StatusCreated {
		return fmt.Errorf("make a token: %d, %s, %v", a.status, a.body, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = made.Token
	return nil
}

// call makes a request that is answered with the status, and reads the answer
// into out (nil: not wanted).
func (c *client) call(t testing.TB, status int, method, path string, body, out any) answer {
	t.Helper()
	a, err := c.try(t, method, path, body, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.status != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, status, a.body)
	}
	if out != nil {
		if err := json.Unmarshal(a.body, out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, a.body)
		}
	}
	return a
}

func (c *client) get(t testing.TB, path string, out any) {
	t.Helper()
	c.call(t, http.StatusOK, "GET", path, nil, out)
}

// deviceStatus is what the cloud says of a router.
type deviceStatus struct {
	Status string
	Config struct {
		Wanted, Applied int64
		State           string
		Error           *struct{ Section, Message, Field string }
	}
}

func (c *client) deviceStatus(t testing.TB, device string) (s deviceStatus) {
	t.Helper()
	c.get(t, "/api/fleet/devices/"+device+"/status", &s)
	return s
}

// awaitSynced returns when the lab's router is there and has applied everything.
func (c *client) awaitSynced(t testing.TB) {
	t.Helper()
	labtest.Eventually(t, 2*patience, func() error {
		a, err := c.try(t, "GET", "/api/fleet/devices/"+c.run.env["NGFW_DEVICE_ID"]+"/status", nil, nil)
		if err != nil {
			return err
		}
		var s deviceStatus
		if err := json.Unmarshal(a.body, &s); err != nil || s.Status != "online" || s.Config.State != "synced" {
			return fmt.Errorf("the router is not in step: %d %s", a.status, a.body)
		}
		return nil
	})
}
