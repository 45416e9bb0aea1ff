package cloud

import (
	"context"
	"encoding/hex"
	"time"

	"ngfw.sh/cloud/api"
	"ngfw.sh/cloud/seal"
	"ngfw.sh/cloud/store"
)

// requests is the store as the API knows it. Answers may hold what is shown once, keys
// and tokens, so they are sealed.
type requests struct {
	store *store.Store
	key   *seal.Key
}

func label(key [32]byte) string { return "answer " + hex.EncodeToString(key[:]) }

func (r requests) Claim(ctx context.Context, q api.Request, now time.Time) (api.Claim, error) {
	c, err := r.store.ClaimRequest(ctx, store.Request{Key: q.Key, OrgID: q.OrgID, Body: q.Body, Ends: q.Ends.Unix()}, now.Unix())
	if err == nil && c.Answer != nil {
		c.Answer, err = r.key.Open(c.Answer, label(q.Key))
	}
	return api.Claim(c), err
}

func (r requests) Answer(ctx context.Context, key [32]byte, answer []byte) error {
	return r.store.AnswerRequest(ctx, key, r.key.Seal(answer, label(key)))
}

func (r requests) Drop(ctx context.Context, key [32]byte) error { return r.store.DropRequest(ctx, key) }
