package detect

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"ngfw.sh/dataplane/ids/rule"
)

func suitePath(tb testing.TB, name string) string {
	dir := os.Getenv("NGFW_IDS_SUITE")
	if dir == "" {
		dir = "../shared/ids-suite"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("../../..", dir) // from the repository's top
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("NO SUITE, NOT TESTED: %v", err)
	}
	return path
}

// openRules are the open rules that people load.
func openRules(tb testing.TB) []*rule.Rule {
	tb.Helper()
	text, err := os.ReadFile(suitePath(tb, "et-open.rules"))
	if err != nil {
		tb.Fatal(err)
	}
	return rule.Load([]rule.File{{Name: "et-open.rules", Text: string(text)}}, rule.DefaultConfig()).Rules
}

func TestOpenRulesCompile(t *testing.T) {
	rules := openRules(t)
	start := time.Now()
	s, errs := Compile(rules, testConfig())
	t.Logf("%d rules in %v", s.Len(), time.Since(start))
	for _, err := range errs {
		t.Error(err)
	}
	if s.Len() != len(rules) {
		t.Errorf("%d of %d rules", s.Len(), len(rules))
	}
}
