package ids_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/goccy/go-yaml"

	"ngfw.sh/dataplane/ids/eve"
	"ngfw.sh/dataplane/ids/replay"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/ids/settings"
)

var (
	update = flag.Bool("update", false, "write the golden files anew")
	only   = flag.String("case", "", "run the cases whose name contains this, and say why they fail")
)

// suite is the folder of the acceptance data; it is no part of the repository.
func suite(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("NGFW_IDS_SUITE")
	if dir == "" {
		dir = "../shared/ids-suite"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("../..", dir) // from the repository's top
	}
	if _, err := os.Stat(filepath.Join(dir, "cases.tsv")); err != nil {
		t.Skipf("NOT TESTED: the acceptance data is not at %s (NGFW_IDS_SUITE names it): %v", dir, err)
	}
	return dir
}

// suiteCase is a row of cases.tsv.
type suiteCase struct {
	name, category, tier string
	capture, rules       string
	sids                 map[string]int
	total                int // -1: not asserted
	settings             []string
	unchecked, inline    bool
	config               string
	skip                 bool
}

func suiteCases(t testing.TB, dir string) []suiteCase {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "cases.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	reader := csv.NewReader(f)
	reader.Comma, reader.LazyQuotes = '\t', true
	rows, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var cases []suiteCase
	for _, row := range rows[1:] {
		get := func(name string) string { return row[column[name]] }
		c := suiteCase{
			name: get("case_dir"), category: get("category"), tier: get("tier"), total: -1, sids: map[string]int{},
			capture: filepath.Join(dir, "cases", get("pcap")),
		}
		if get("rules") != "" {
			c.rules = filepath.Join(dir, "cases", get("rules"))
		}
		for _, pair := range strings.Fields(get("expected_sid_count")) {
			sid, n, _ := strings.Cut(pair, ":")
			c.sids[sid], _ = strconv.Atoi(n)
		}
		if s := get("expected_total_alerts"); s != "" {
			c.total, _ = strconv.Atoi(s)
		}
		c.inline = get("ips_mode") == "1"
		own := filepath.Join(dir, "cases", c.name)
		if p := filepath.Join(own, "suricata.yaml"); exists(p) {
			c.config = p
		}
		c.skip = skips(t, filepath.Join(own, "test.yaml"))
		c.arguments(get("args"), own, t.TempDir())
		cases = append(cases, c)
	}
	return cases
}

// features are those of Suricata's builds that cases may depend on, and that are here.
var features = map[string]bool{"HAVE_JA4": true}

// skips says whether a case is not for who has what is here: it is about doing without.
func skips(t testing.TB, path string) bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	var test struct {
		Skip []struct {
			Feature string `yaml:"feature"`
		} `yaml:"skip"`
	}
	if err := yaml.Unmarshal(text, &test); err != nil {
		return false // what else is in there may be odd
	}
	for _, s := range test.Skip {
		if features[s.Feature] {
			return true
		}
	}
	return false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// arguments takes those of Suricata's command line that have a meaning here.
func (c *suiteCase) arguments(line, own, output string) {
	line = strings.NewReplacer("${TEST_DIR}", own, "${OUTPUT_DIR}", output).Replace(line)
	words := strings.Fields(line)
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == "-k" && i+1 < len(words):
			i++
			c.unchecked = words[i] == "none"
		case w == "--simulate-ips":
			c.inline = true
		case w == "--set" && i+1 < len(words):
			i++
			c.settings = append(c.settings, words[i])
		case strings.HasPrefix(w, "--set="):
			c.settings = append(c.settings, w[len("--set="):])
		}
	}
}

// asserts says whether the case expects an alert.
func (c *suiteCase) asserts() bool {
	for _, n := range c.sids {
		if n > 0 {
			return true
		}
	}
	return c.total > 0
}

type result uint8

const (
	passed result = iota
	wrong
	unsupported
)

// run leads the case's capture through the matcher.
func (c *suiteCase) run() (r result, why string) {
	cfg := replay.Config{IgnoreChecksums: c.unchecked, Log: eve.DefaultConfig()}
	cfg.Log.Kinds = map[string]bool{"alert": true}
	var config []byte
	var err error
	if c.config != "" {
		if config, err = os.ReadFile(c.config); err != nil {
			return wrong, err.Error()
		}
	}
	if cfg.Settings, err = settings.Load(config, c.settings, c.inline); err != nil {
		return wrong, err.Error()
	}
	for _, named := range []struct {
		path string
		into *rule.File
	}{{cfg.Settings.ThresholdFile, &cfg.Thresholds}, {cfg.Settings.ClassificationFile, &cfg.Classification}} {
		if text, err := os.ReadFile(named.path); err == nil {
			*named.into = rule.File{Name: named.path, Text: string(text)}
		}
	}
	if c.rules != "" {
		text, err := os.ReadFile(c.rules)
		if err != nil {
			return wrong, err.Error()
		}
		cfg.Rules = []rule.File{{Name: c.rules, Text: string(text)}}
	}
	cfg.Open = func(_ *rule.Rule, name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(c.rules), name)
		}
		return os.ReadFile(name)
	}
	var out bytes.Buffer
	p, err := replay.New(cfg, &out)
	if err != nil {
		return wrong, err.Error()
	}
	f, err := os.Open(c.capture)
	if err != nil {
		return wrong, err.Error()
	}
	defer f.Close()
	capture, err := replay.OpenCapture(f)
	if err == nil {
		err = p.Run(context.Background(), capture)
	}
	if err != nil {
		return unsupported, err.Error()
	}
	if *only != "" {
		for _, n := range p.Notes {
			fmt.Println("note:", n)
		}
		for _, e := range p.Loaded.Refused {
			fmt.Println("refused:", e)
		}
		for _, e := range p.Refused {
			fmt.Println("refused:", e)
		}
		fmt.Println("ignored:", cfg.Settings.Ignored)
	}
	got, total := count(&out)
	why = c.compare(got, total)
	if why == "" {
		return passed, ""
	}
	for sid, n := range c.sids {
		if n == 0 {
			continue
		}
		number, _ := strconv.ParseUint(sid, 10, 32)
		if !slices.ContainsFunc(p.Loaded.Rules, func(r *rule.Rule) bool { return uint64(r.SID) == number }) {
			return unsupported, "sid " + sid + " is not in force"
		}
	}
	for _, e := range p.Refused {
		return unsupported, e.Error()
	}
	for _, n := range p.Notes {
		why += "; " + n.Error()
	}
	return wrong, why
}

func (c *suiteCase) compare(got map[string]int, total int) string {
	var problems []string
	for _, sid := range slices.Sorted(maps.Keys(c.sids)) {
		if got[sid] != c.sids[sid] {
			problems = append(problems, fmt.Sprintf("sid %s: %d alerts, want %d", sid, got[sid], c.sids[sid]))
		}
	}
	if c.total >= 0 && total != c.total {
		problems = append(problems, fmt.Sprintf("%d alerts, want %d", total, c.total))
	}
	return strings.Join(problems, ", ")
}

// count counts alerts by sid.
func count(log *bytes.Buffer) (map[string]int, int) {
	got, total := map[string]int{}, 0
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e struct {
			EventType string `json:"event_type"`
			Alert     struct {
				SID uint32 `json:"signature_id"`
			}
		}
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.EventType == "alert" {
			got[fmt.Sprint(e.Alert.SID)]++
			total++
		}
	}
	return got, total
}

type tally struct{ cases, passed, wrong, unsupported int }

func (t *tally) add(r result) {
	t.cases++
	switch r {
	case passed:
		t.passed++
	case wrong:
		t.wrong++
	case unsupported:
		t.unsupported++
	}
}

// TestSuite holds the matcher to the acceptance suite. The cases that pass are
// kept in a golden file, so that none is lost unnoticed.
func TestSuite(t *testing.T) {
	cases := suiteCases(t, suite(t))
	groups, sums := map[string]*tally{}, map[string]*tally{}
	var good []string
	for _, c := range cases {
		if !strings.Contains(c.name, *only) {
			continue
		}
		if c.skip {
			t.Logf("%s is for builds without what is here", c.name)
			continue
		}
		r, why := c.run()
		kind := "alert"
		switch {
		case c.category == "http-evader":
			kind = "evader"
		case !c.asserts():
			kind = "silence"
		}
		for m, key := range map[*map[string]*tally]string{&groups: c.tier + "\t" + kind + "\t" + c.category, &sums: c.tier + "\t" + kind + "\tall"} {
			if (*m)[key] == nil {
				(*m)[key] = &tally{}
			}
			(*m)[key].add(r)
		}
		if r == passed {
			good = append(good, c.name)
		} else if *only != "" || os.Getenv("NGFW_IDS_WHY") != "" {
			fmt.Printf("%s\t%s\t%s\t%s\t%s\n", c.tier, kind, c.category, c.name, why)
		}
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIER\tASSERTS\tCATEGORY\tCASES\tPASSED\tFAILED\tUNSUPPORTED\t")
	for _, m := range []map[string]*tally{groups, sums} {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			x := m[key]
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.1f %%\n", key, x.cases, x.passed, x.wrong, x.unsupported, 100*float64(x.passed)/float64(x.cases))
		}
	}
	w.Flush()
	t.Logf("acceptance suite:\n%s", b.String())
	if *only == "" {
		keep(t, good)
	}
}

// keep compares the cases that pass with those that did.
func keep(t *testing.T, good []string) {
	slices.Sort(good)
	path := filepath.Join("testdata", "suite-passed.txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Join(good, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before := strings.Fields(string(text))
	for _, name := range before {
		if _, ok := slices.BinarySearch(good, name); !ok {
			t.Errorf("%s passed before", name)
		}
	}
	for _, name := range good {
		if !slices.Contains(before, name) {
			t.Errorf("%s passes now; -update notes it", name)
		}
	}
}
