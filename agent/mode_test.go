package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ngfw.sh/internal/fault"
)

func TestModeDecidesWhatIsApplied(t *testing.T) {
	dir := t.TempDir()
	m, err := openMode(dir)
	if err != nil || m.String() != modeTakeover || m.allows(sectionFirewall) != nil {
		t.Fatalf("a new device is in mode %s, %v", m, err)
	}
	sections := map[string]string{sectionFirewall: modeTakeover}
	if err := m.set(modeObserve, sections); err != nil {
		t.Fatal(err)
	}
	sections[sectionFirewall] = modeShadow // the caller's own
	check := func(m *mode) {
		t.Helper()
		if err := m.allows(sectionFirewall); err != nil || m.String() != modeObserve {
			t.Errorf("mode %s: %v", m, err)
		}
		if err := m.allows("dns"); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "observe") || !strings.Contains(err.Error(), "dns") {
			t.Errorf("%v", err)
		}
	}
	check(m)
	again, err := openMode(dir)
	if err != nil {
		t.Fatal(err)
	}
	check(again)
	for _, bad := range []func() error{
		func() error { return m.set("follow", nil) },
		func() error { return m.set("", nil) },
		func() error { return m.set(modeTakeover, map[string]string{"dns": "off"}) },
	} {
		if err := bad(); !fault.Is(err, fault.InvalidConfig) {
			t.Errorf("%v", err)
		}
	}
	check(m)
	// Not stored is not in force.
	m.path = filepath.Join(dir, "gone", "mode.json")
	if err := m.set(modeTakeover, nil); err == nil {
		t.Error("stored nowhere")
	}
	check(m)
}

func TestModeFileThatCannotBeUsed(t *testing.T) {
	for name, content := range map[string]string{
		"cut": `{"mode":"obs`, "empty": ``, "no mode": `{}`, "unknown": `{"mode":"follow"}`, "unknown section's": `{"mode":"observe","sections":{"dns":"follow"}}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "mode.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		// Not as takeover: a device that only watched must not begin to act.
		if m, err := openMode(dir); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}
