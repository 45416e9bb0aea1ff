package account

import (
	"context"
	"errors"
)

// use is a credential seen at a time: a session or an API token.
type use struct {
	session, token string
	at             int64
}

// saw asks Run to note a use unless that happened within the last minute. It
// never waits: a request must not depend on a write of its own bookkeeping.
func (s *Service) saw(u use, last int64) {
	if u.at-last < 60 {
		return
	}
	select {
	case s.used <- u:
	default: // the next request will do
	}
}

func (s *Service) note(ctx context.Context, u use) {
	var err error
	if u.token != "" {
		err = s.store.TouchAPIToken(ctx, u.token, u.at)
	} else {
		err = s.store.TouchSession(ctx, u.session, u.at)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.Warn("use of a credential not noted", "error", err)
	}
}
