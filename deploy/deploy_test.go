package deploy

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const (
	rulesFile     = "prometheus/ngfw.rules.yml"
	dashboardFile = "grafana/ngfw.json"
)

// question is an expression, and where it stands.
type question struct{ at, expression string }

// fromElsewhere are metrics that Prometheus itself or client_golang's collectors
// of the process make, with their labels.
var fromElsewhere = map[string][]string{
	"up": nil, "ALERTS": {"alertname", "alertstate", "severity"},
	"process_resident_memory_bytes": nil, "process_cpu_seconds_total": nil,
}

func alertRules(t *testing.T) (out []question) {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || seen[r.Alert] {
				t.Errorf("group %s: the name %q is empty or there twice", g.Name, r.Alert)
			}
			seen[r.Alert] = true
			if !slices.Contains([]string{"info", "warning", "critical"}, r.Labels["severity"]) || r.Annotations["summary"] == "" {
				t.Errorf("%s: has no severity or no summary", r.Alert)
			}
			out = append(out, question{"alert " + r.Alert, r.Expr})
		}
	}
	return out
}

func panelTargets(t *testing.T) (out []question) {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			Targets []struct{ Expr, RefID string }
		}
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || (len(p.Targets) == 0) != (p.Type == "row") {
			t.Errorf("panel %d %q: no title, no target, or its id is there twice", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			out = append(out, question{"panel " + p.Title, target.Expr})
		}
	}
	for _, v := range board.Templating.List {
		if v.Type != "query" {
			continue
		}
		// label_values(metric, label): Grafana's own, not PromQL.
		metric, label, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(v.Definition, "label_values("), ")"), ", ")
		if !ok {
			t.Errorf("variable %s: %q is not label_values(metric, label)", v.Name, v.Definition)
		}
		out = append(out, question{"variable " + v.Name, "count by (" + label + ") (" + metric + ")"})
	}
	return out
}

// TestMetricsAreExported holds alert rules and dashboard to metrics and labels
// that the code has. A rule over a name that nobody exports never fires, and
// nothing else would tell.
func TestMetricsAreExported(t *testing.T) {
	have := exported(t)
	if len(have) < 60 {
		t.Fatalf("found %d metrics only: this test looks in the wrong place", len(have))
	}
	questions := append(alertRules(t), panelTargets(t)...)
	if len(questions) < 50 {
		t.Fatalf("found %d expressions only", len(questions))
	}
	for _, q := range questions {
		for _, problem := range unanswerable(have, q.expression) {
			t.Errorf("%s: %s", q.at, problem)
		}
	}
}

// unanswerable says what an expression asks for that nobody exports.
func unanswerable(have map[string]metric, expression string) (problems []string) {
	metrics, grouped, err := asks(expression)
	if err != nil {
		return []string{err.Error()}
	}
	if len(metrics) == 0 {
		return []string{expression + ": asks for no metric"}
	}
	known := []string{"job", "instance"} // every target has them
	for _, u := range metrics {
		labels, ok := labelsOf(have, u.name)
		if !ok {
			problems = append(problems, "nobody exports "+u.name)
			continue
		}
		labels = append(labels, "job", "instance")
		for _, l := range u.labels {
			if !slices.Contains(labels, l) {
				problems = append(problems, u.name+" has no label "+l)
			}
		}
		known = append(known, labels...)
	}
	for _, l := range grouped {
		if !slices.Contains(known, l) {
			problems = append(problems, "nothing in "+expression+" has the label "+l)
		}
	}
	return problems
}

// labelsOf knows the series that a histogram makes.
func labelsOf(have map[string]metric, name string) ([]string, bool) {
	if labels, ok := fromElsewhere[name]; ok {
		return slices.Clone(labels), true
	}
	if m, ok := have[name]; ok && m.kind != "Histogram" {
		return slices.Clone(m.labels), true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		m, ok := have[strings.TrimSuffix(name, suffix)]
		if strings.HasSuffix(name, suffix) && ok && m.kind == "Histogram" {
			labels := slices.Clone(m.labels)
			if suffix == "_bucket" {
				labels = append(labels, "le")
			}
			return labels, true
		}
	}
	return nil, false
}

// TestUnanswerable holds the check itself to what it must find and must let be.
func TestUnanswerable(t *testing.T) {
	have := map[string]metric{
		"ngfw_x_total":      {kind: "Counter", labels: []string{"reason"}},
		"ngfw_took_seconds": {kind: "Histogram", labels: []string{"kind"}},
		"ngfw_gauge":        {},
	}
	tests := []struct{ expression, want string }{
		{`sum by (reason) (rate(ngfw_x_total{reason!~"a|b",job="j"}[$__rate_interval])) > 0.5`, ""},
		{`histogram_quantile(0.95, sum by (le, kind) (rate(ngfw_took_seconds_bucket[5m])))`, ""},
		{`ngfw_gauge / on (instance) group_left ngfw_gauge offset 5m and up == 1`, ""},
		{`sum(ngfw_gauge{instance=~"$router"}) without (instance)`, ""},
		{`rate(ngfw_y_total[5m])`, "nobody exports ngfw_y_total"},
		{`rate(ngfw_x_total{cause="a"}[5m])`, "ngfw_x_total has no label cause"},
		{`sum by (cause) (ngfw_x_total)`, "has the label cause"},
		{`rate(ngfw_took_seconds[5m])`, "nobody exports ngfw_took_seconds"},
		{`ngfw_gauge_bucket`, "nobody exports ngfw_gauge_bucket"},
		{`1 > 0`, "asks for no metric"},
		{`ngfw_gauge & 1`, "no PromQL"},
	}
	for _, tt := range tests {
		got := strings.Join(unanswerable(have, tt.expression), "; ")
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.expression, got, tt.want)
		}
	}
}
