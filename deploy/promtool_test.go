package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestPromtool gives the files to Prometheus's own checker, and the dashboard's
// expressions, too. It is part of Debian's package prometheus, which is too
// large to install for this.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: promtool is not installed (Debian: prometheus), so nothing but this repository's own reader of PromQL has seen the rules")
	}
	// Grafana puts values in place of its variables.
	variable := regexp.MustCompile(`\$\w+`)
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, q := range panelTargets(t) {
		fmt.Fprintf(&rules, "  - {record: 'panel:%d', expr: %s}\n", i, strconv.Quote(variable.ReplaceAllString(q.expression, "5m")))
	}
	panels := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(panels, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "rules", rulesFile},
		{"check", "config", "prometheus/prometheus.yml"},
		{"test", "rules", "prometheus/ngfw.test.yml"},
		{"check", "rules", panels},
	} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
