package firewall

import (
	"context"

	"ngfw.sh/policy"
)

// Trial is a document that is enforced and not yet kept: a restart brings back the
// one before.
type Trial struct {
	section  *Section
	version  int64
	document []byte
	before   policy.Policy
	first    bool // there is none before
}

// Try enforces a document as revision version. Without a Trial everything is as it
// was, and a fault names the field; with one, an error says what else failed.
func (s *Section) Try(_ context.Context, version int64, document []byte) (*Trial, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.decoder.Decode(document)
	if err != nil {
		return nil, err
	}
	if err := s.compiler.Validate(p); err != nil {
		return nil, err
	}
	p.Revision = version
	t := &Trial{section: s, version: version, document: document, before: s.policy, first: !s.enforced}
	if err := s.enforce(p); err != nil {
		return nil, err
	}
	return t, s.open()
}

// First says that there is nothing to go back to.
func (t *Trial) First() bool { return t.first }

// Keep puts the document on disk: from here on the router starts with it.
func (t *Trial) Keep() error {
	s := t.section
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Version, s.state.Document = t.version, t.document
	if err := writeState(s.cfg.StateDir, s.state); err != nil {
		// Enforced, but a restart would bring the one before: say so and go on.
		s.deps.Log.Error("the firewall section is enforced but not stored", "version", t.version, "err", err)
	}
	return nil
}

// Undo enforces what was before again. Flows that both allow are not disturbed.
func (t *Trial) Undo() error {
	s := t.section
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.first || s.policy.Revision != t.version {
		return nil
	}
	return s.enforce(t.before)
}
