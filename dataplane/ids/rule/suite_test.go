package rule

import (
	"encoding/csv"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// suite is the folder of the acceptance data; it is no part of the repository.
func suite(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("NGFW_IDS_SUITE")
	if dir == "" {
		dir = "../shared/ids-suite"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("../../..", dir) // from the repository's top
	}
	if _, err := os.Stat(filepath.Join(dir, "cases.tsv")); err != nil {
		t.Skipf("NOT TESTED: the acceptance data is not at %s (NGFW_IDS_SUITE names it): %v", dir, err)
	}
	return dir
}

func read(t testing.TB, elements ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestOpenRules accepts every rule that people load.
func TestOpenRules(t *testing.T) {
	text := read(t, suite(t), "et-open.rules")
	s := Load([]File{{"et-open.rules", text}}, DefaultConfig())
	for _, e := range s.Refused {
		t.Error(e)
	}
	lines := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && strings.TrimSpace(line) != "" {
			lines++
		}
	}
	if len(s.Rules) != lines || len(s.Skipped)+len(s.Superseded) > 0 {
		t.Errorf("%d of %d rules are in force", len(s.Rules), lines)
	}
	resolver := NewResolver(DefaultVariables())
	chosen, none := 0, 0
	for i, r := range s.Rules {
		if i%16 == 0 { // all of them take too long for every run
			mustRoundTrip(t, r)
		}
		if _, err := resolver.Addresses(r.Source.Addresses); err != nil {
			t.Error(err)
		}
		switch {
		case r.Fast.Chosen:
			chosen++
		case r.Fast.Length == 0:
			none++
			for _, b := range r.Buffers {
				for _, m := range b.Matches {
					if c, ok := m.(*Content); ok && !c.Is(Negated) && !b.optional() {
						t.Errorf("no fast pattern was chosen of %s", r)
					}
				}
			}
		}
	}
	t.Logf("%d rules: %d choose a fast pattern, %d can have none", lines, chosen, none)
}

// count is what became of rules.
type count struct{ cases, accepted, refused, unmet int }

// TestSuiteRules reads the rules of every case. Those from which the case
// expects alerts must be accepted; how many others are is kept in a golden file.
func TestSuiteRules(t *testing.T) {
	dir := suite(t)
	reader := csv.NewReader(strings.NewReader(read(t, dir, "cases.tsv")))
	reader.Comma, reader.LazyQuotes = '\t', true
	rows, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	counts := map[string]*count{}
	loaded := map[string]*Set{}
	for _, row := range rows[1:] {
		get := func(name string) string { return row[column[name]] }
		key := "tier " + get("tier") + "\t" + get("category")
		c := counts[key]
		if c == nil {
			c = &count{}
			counts[key] = c
		}
		c.cases++
		path := get("rules")
		if path == "" {
			continue
		}
		text := read(t, dir, "cases", path)
		s := loaded[text]
		if s == nil {
			s = Load([]File{{path, text}}, DefaultConfig())
			loaded[text] = s
		}
		c.accepted += len(s.Rules)
		c.refused += len(s.Refused)
		c.unmet += len(s.Skipped)
		in := map[string]bool{}
		for _, r := range s.Rules {
			in[fmt.Sprint(r.SID)] = true
		}
		for _, expected := range strings.Fields(get("expected_sid_count")) {
			if sid, n, _ := strings.Cut(expected, ":"); n != "0" && !in[sid] && strings.Contains(text, "sid:"+sid) {
				t.Errorf("%s: a rule that must alert is not in force: sid %s: %v", path, sid, s.Refused)
			}
		}
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIER\tCATEGORY\tCASES\tACCEPTED\tREFUSED\tREQUIREMENT NOT MET")
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		c := counts[key]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", key, c.cases, c.accepted, c.refused, c.unmet)
	}
	w.Flush()
	golden(t, "suite.txt", b.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(read(t, path), got); d != "" {
		t.Errorf("%s differs; -update writes it (-want +got):\n%s", path, d)
	}
}

// TestSuiteThresholds reads the threshold files of all cases.
func TestSuiteThresholds(t *testing.T) {
	vars := DefaultVariables()
	vars.Addresses["SUPPRESS"] = "192.0.2.1" // one case sets it
	found := 0
	err := filepath.WalkDir(filepath.Join(suite(t), "cases"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "threshold.config" {
			return err
		}
		entries, problems := ParseThresholds(File{path, read(t, path)}, vars)
		found += len(entries)
		for _, e := range problems {
			t.Error(e)
		}
		return nil
	})
	if err != nil || found < 10 {
		t.Errorf("%d entries, %v", found, err)
	}
}

// BenchmarkLoad is the start of an engine: rules a second, allocations a rule.
func BenchmarkLoad(b *testing.B) {
	text := read(b, suite(b), "et-open.rules")
	rules := 0
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		rules += len(Load([]File{{"et-open.rules", text}}, DefaultConfig()).Rules)
	}
	b.ReportMetric(float64(rules)/b.Elapsed().Seconds(), "rules/s")
}

// BenchmarkParse is one rule of the common kind.
func BenchmarkParse(b *testing.B) {
	const text = `alert http $HOME_NET any -> $EXTERNAL_NET any (msg:"Checkin"; flow:established,to_server; http.method; content:"POST"; ` +
		`http.uri; content:"/gate.php?id="; fast_pattern; pcre:"/^[a-f0-9]{32}$/R"; http.header_names; content:!"|0d 0a|Referer|0d 0a|"; ` +
		`reference:md5,00112233445566778899aabbccddeeff; classtype:trojan-activity; sid:1; rev:2; metadata:created_at 2020_01_01, confidence High;)`
	p := NewParser(DefaultConfig())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
