package inspect

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestDamagedState: what is stored is damaged, or its rules are away; the agent starts, says so, and lets pass or
// not what it cannot inspect. The next document puts it right.
func TestDamagedState(t *testing.T) {
	damage := func(path string, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const open, closed = `{"enabled":true,` + source + `}`, `{"enabled":true,"mode":"prevent","fail_open":false,` + source + `}`
	for name, tt := range map[string]struct {
		stored, damaged string
		away, closes    bool
	}{
		"cut short":                  {open, `{"format":1,"version":3,"docu`, false, false},
		"cut short, closed":          {closed, `{"format":1,"version":3,"docu`, false, true},
		"empty, closed":              {closed, "", false, true},
		"off":                        {`{"enabled":false,"fail_open":false}`, "\x00\x00", false, false},
		"no document, closed":        {closed, `{"format":1,"version":3,"document":{"enabled":7}}`, false, true},
		"its rules are away":         {open, "", true, false},
		"its rules are away, closed": {closed, "", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := &router{}
			away := false
			get := func(context.Context) error {
				if away {
					return os.ErrNotExist
				}
				return nil
			}
			s, _ := opened(t, r, get)
			trial, err := s.Try(t.Context(), 3, []byte(tt.stored))
			if err != nil {
				t.Fatal(err)
			}
			if err := trial.Keep(); err != nil {
				t.Fatal(err)
			}
			if away = tt.away; !away {
				damage(statePath(s.cfg.StateDir), tt.damaged)
			}

			again := &router{}
			next, _ := opened(t, again, get)
			next.cfg.StateDir = s.cfg.StateDir
			if err := next.Restore(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(next.Degraded(), func(d string) bool { return strings.HasPrefix(d, "ids: ") }) {
				t.Errorf("nothing is said of it: %q", next.Degraded())
			}
			if again.on != tt.closes || (again.queue.Count > 0) != tt.closes || again.queue.Bypass || next.Report().Mode != "disabled" {
				t.Errorf("inspects %v by %+v", again.on, again.queue)
			}
			away = false
			if _, err := next.Try(t.Context(), 4, []byte(`{"enabled":false}`)); err != nil {
				t.Fatal(err)
			}
			if again.on || again.queue.Count > 0 || len(next.Degraded()) > 0 {
				t.Errorf("after the next document: inspects %v by %+v, %q", again.on, again.queue, next.Degraded())
			}
		})
	}
}

// TestNewerStateIsRefused: it is not for this binary to put aside what a newer one has stored.
func TestNewerStateIsRefused(t *testing.T) {
	s, _ := opened(t, &router{}, func(context.Context) error { return nil })
	if err := os.WriteFile(statePath(s.cfg.StateDir), []byte(`{"format":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Restore(t.Context()); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("%v", err)
	}
}
