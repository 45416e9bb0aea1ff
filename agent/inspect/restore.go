package inspect

import (
	"context"
	"errors"
	"time"

	"ngfw.sh/config/ids"
	"ngfw.sh/dataplane"
	"ngfw.sh/dataplane/netfilter"
)

// Restore inspects by the last good document, with the copies of its sets. One that cannot be
// read, or is not accepted any more, does not keep the router from its work: it is
// degraded until the cloud sends the section again, and what would be inspected meanwhile
// passes or is dropped as the section says of a matcher that is away. An error: another version
// of the agent has stored it.
func (s *Section) Restore(ctx context.Context) error {
	version, text, ok, err := readState(s.cfg.StateDir)
	switch {
	case errors.Is(err, errNewer):
		return err
	case err != nil:
		s.lose(err, failsClosed(s.cfg.StateDir), nil)
		return nil
	case !ok:
		return nil
	}
	// The router opens after this: a set without a copy is fetched later.
	ctx, enough := context.WithTimeout(ctx, min(s.cfg.Patience, 5*time.Second))
	defer enough()
	if _, err := s.try(ctx, version, text, false); err != nil {
		doc, broken := ids.Decode(text)
		closed := broken == nil && shuts(doc) || broken != nil && failsClosed(s.cfg.StateDir)
		s.lose(err, closed, doc.Interfaces)
	}
	return nil
}

// shuts says whether nothing passes that a document's matcher does not see.
func shuts(doc ids.Document) bool { return doc.Enabled && !doc.FailOpen }

// lose goes on without the stored section. Closed: packets go to a queue that nobody serves.
func (s *Section) lose(why error, closed bool, interfaces []string) {
	s.change.Lock()
	defer s.change.Unlock()
	what := "nothing is inspected: packets pass"
	if closed {
		what = "what would be inspected is dropped, as fail_open is false"
		err := errors.Join(
			s.deps.Queue(netfilter.Queues{First: s.cfg.First, Count: uint16(max(s.cfg.Queues, 1))}),
			s.deps.Kernel.Inspect(dataplane.Inspection{On: true, Interfaces: interfaces}),
		)
		if err != nil {
			s.deps.Log.Error("the router fails open, though fail_open is false", "err", err)
			what, closed = "nothing is inspected: packets pass, though fail_open is false", false
		}
	}
	s.set(func() { s.lost, s.closed = why.Error()+"; until the cloud sends the section again "+what, closed })
	s.deps.Log.Error("the stored section ids is not in force", "err", why, "until another comes", what)
}
