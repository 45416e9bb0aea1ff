package api_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"ngfw.sh/cloud/api"
)

// fakeRequests is what a store would keep, and what it was told.
type fakeRequests struct {
	mu       sync.Mutex
	claim    api.Claim
	err      error
	answered map[[32]byte][]byte
	dropped  int
}

func (f *fakeRequests) Claim(_ context.Context, r api.Request, now time.Time) (api.Claim, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.OrgID == "" || r.Ends.Sub(now) < 23*time.Hour {
		return api.Claim{}, errors.New("claimed for nobody, or no time")
	}
	if text := f.answered[r.Key]; text != nil {
		return api.Claim{Answer: text}, nil
	}
	return f.claim, f.err
}

func (f *fakeRequests) Answer(_ context.Context, key [32]byte, answer []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answered[key] = answer
	return nil
}

func (f *fakeRequests) Drop(ctx context.Context, _ [32]byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropped++
	return ctx.Err()
}

func TestKeptRequests(t *testing.T) {
	kept := &fakeRequests{answered: map[[32]byte][]byte{}, claim: api.Claim{Mine: true}}
	begin := func() *running { return start(t, nil, func(d *api.Deps) { d.Requests = kept }) }
	r := begin()
	post := func(key, name string) reply {
		return r.do("POST", "/api/firewall/rules", `{"name":"`+name+`"}`, "Idempotency-Key", key)
	}
	first := post("a", "web")
	r = begin() // nothing at hand
	again := post("a", "web")
	if first.status != http.StatusCreated || again.status != first.status || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%v then %v", first, again)
	}
	// A failure is forgotten, however it comes.
	if a := post("b", "secret"); a.status != http.StatusInternalServerError || kept.dropped != 1 {
		t.Errorf("%d, dropped %d", a.status, kept.dropped)
	}
	if a := post("c", "panic"); a.status != http.StatusInternalServerError || kept.dropped != 2 {
		t.Errorf("%d, dropped %d", a.status, kept.dropped)
	}
	// One that was done, and whose answer nobody has, is not done again.
	kept.claim = api.Claim{}
	if a := post("d", "web"); a.status != http.StatusConflict || a.failure(t).Code != "CONFLICT" {
		t.Errorf("%d %s", a.status, a.body)
	}
	kept.claim = api.Claim{Other: true}
	if a := post("e", "web"); a.status != http.StatusConflict {
		t.Errorf("%d %s", a.status, a.body)
	}
	kept.err = errors.New("the disk is gone")
	if a := post("f", "web"); a.status != http.StatusInternalServerError {
		t.Errorf("%d %s", a.status, a.body)
	}
	if len(kept.answered) != 1 || kept.dropped != 2 {
		t.Errorf("%d answers, %d dropped", len(kept.answered), kept.dropped)
	}
}
