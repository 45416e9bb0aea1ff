package importrules

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "ngfw.sh"

// rule forbids imports to some packages. Packages are paths below the module,
// "agent" standing for agent and all below it.
type rule struct {
	from    []string // the importing packages; empty: all
	except  []string // among them, those that may
	imports []string // what they must not import; ours begin with "./"
	allowed []string // among it, what they may
	tests   bool     // holds for _test.go files too
	reason  string
}

// Packages of cloud that are not domains: what domains and the service stand on.
var cloudInfrastructure = []string{"cloud/api", "cloud/devicelink", "cloud/store", "cloud/blob", "cloud/bus", "cloud/etag", "cloud/identity",
	"cloud/resource", "cloud/seal", "cloud/tlsca",
	"cloud/domaintest", // puts the domains together to test them
}

// What does I/O, for the packages that must not.
var inputOutput = []string{
	"os", "os/exec", "os/signal", "os/user", "net/http", "net/rpc", "net/smtp", "io/ioutil", "syscall", "plugin",
	"database/sql", "log", "log/slog", "golang.org/x/sys", "google.golang.org/grpc",
}

var rules = []rule{
	{
		from: []string{"agent", "cmd/ngfw-agent"}, imports: []string{"./cloud", "./analytics"}, tests: true,
		reason: "agent and cloud meet in proto/gen, policy and config alone: a router runs without any cloud code, and their versions differ in the field",
	},
	{
		from: []string{"cloud", "analytics", "cmd/ngfw-cloud"}, imports: []string{"./agent"}, tests: true,
		reason: "agent and cloud meet in proto/gen, policy and config alone: a cloud must not depend on what one version of the agent does",
	},
	{
		from: []string{"dataplane"}, imports: []string{"./agent", "./cloud", "./analytics", "./config"}, tests: true,
		reason: "dataplane is the kernel's side: it is told what to enforce and knows neither who says so nor any configuration file",
	},
	{
		from: []string{"cloud", "analytics", "cmd/ngfw-cloud"}, imports: []string{"./dataplane"}, allowed: []string{"./dataplane/ids/rule"}, tests: true,
		reason: "a cloud runs where there is no packet and no BPF: of dataplane it reads rule texts (ids/rule) alone",
	},
	{
		from: []string{"policy", "config", "dataplane/ids/rule"}, imports: inputOutput,
		reason: "policy, config and ids/rule are pure: the same input gives the same answer in the agent, the cloud and a browser's server",
	},
	{
		from: []string{"policy", "config"}, imports: []string{"./agent", "./cloud", "./analytics", "./dataplane", "./lab"}, allowed: []string{"./dataplane/ids/rule"}, tests: true,
		reason: "everything else reads policy and config; they read nothing of it",
	},
	{
		except: []string{"dataplane", "lab/bench"}, imports: []string{"github.com/cilium/ebpf"}, tests: true,
		reason: "BPF objects belong to dataplane (and to benchmarks that measure without it): one owner of programs, maps and pins",
	},
	{
		except: []string{"analytics"}, imports: []string{"github.com/ClickHouse"}, tests: true,
		reason: "ClickHouse is spoken in analytics alone: one schema, one place that builds its SQL",
	},
	{
		except: []string{"cloud/store"}, imports: []string{"modernc.org/sqlite", "github.com/jackc/pgx", "github.com/mattn/go-sqlite3", "github.com/lib/pq"}, tests: true,
		reason: "SQL drivers are cloud/store's: one store, two databases, the same tests for both",
	},
	{
		from: []string{"cloud/"}, except: cloudInfrastructure, imports: []string{"net/http"},
		reason: "domain packages know no transport: interfaces are declared where they are used, package cloud/api speaks HTTP",
	},
	{
		except: []string{"lab", "cmd/ngfw-lab"}, imports: []string{"./lab"},
		reason: "the lab is for development: what is shipped to routers and servers must not stand on it",
	},
	{
		from: []string{"internal"}, imports: []string{"./agent", "./cloud", "./analytics", "./dataplane", "./lab", "./policy", "./config"},
		reason: "packages below internal are leaves: each means one thing and everyone may import it",
	},
}

func TestImports(t *testing.T) {
	files := goFiles(t)
	if len(files) < 10 {
		t.Fatalf("found %d Go files only: this test looks in the wrong place", len(files))
	}
	for _, f := range files {
		for _, imported := range f.imports {
			for _, r := range rules {
				if r.forbids(f, imported) {
					t.Errorf("%s imports %s: %s", f.path, imported, r.reason)
				}
			}
			if a, b := domain(f.pkg), domain(ours(imported)); a != "" && b != "" && a != b {
				t.Errorf("%s imports %s: domain packages of cloud do not import each other; declare what is needed as an interface where it is used", f.path, imported)
			}
		}
	}
}

func (r rule) forbids(f file, imported string) bool {
	if f.test && !r.tests || len(r.from) > 0 && !within(f.pkg, r.from) || within(f.pkg, r.except) {
		return false
	}
	if p := ours(imported); p != "" {
		imported = "./" + p
	}
	return within(imported, r.imports) && !within(imported, r.allowed)
}

// domain is the domain of cloud that a package belongs to, if any.
func domain(pkg string) string {
	rest, ok := strings.CutPrefix(pkg, "cloud/")
	if !ok || within(pkg, cloudInfrastructure) {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// ours is the path of an import below the module, "" for others'.
func ours(imported string) string {
	rest, _ := strings.CutPrefix(imported, module+"/")
	if rest == imported {
		return ""
	}
	return rest
}

// within says whether pkg is one of the trees, or below one. "cloud/" means
// what is below cloud and not cloud itself.
func within(pkg string, trees []string) bool {
	for _, tree := range trees {
		if pkg == tree || strings.HasPrefix(pkg, strings.TrimSuffix(tree, "/")+"/") {
			return true
		}
	}
	return false
}

type file struct {
	path, pkg string
	test      bool
	imports   []string
}

func goFiles(t *testing.T) []file {
	t.Helper()
	var files []file
	for _, name := range tracked(t) {
		if !strings.HasSuffix(name, ".go") || strings.Contains("/"+name, "/testdata/") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			continue
		}
		f := file{path: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go")}
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			f.imports = append(f.imports, imported)
		}
		files = append(files, f)
	}
	return files
}

// TestTheRulesBite holds the rules to cases that they must and must not catch.
func TestTheRulesBite(t *testing.T) {
	tests := []struct {
		pkg, imported string
		test, want    bool
	}{
		{"agent/link", module + "/cloud/fleet", false, true},
		{"agent/link", module + "/cloud/fleet", true, true},
		{"agent/link", module + "/policy", false, false},
		{"cloud", module + "/agent/settings", false, true},
		{"cloud/ids", module + "/dataplane/ids/rule", false, false},
		{"cloud/ids", module + "/dataplane/ids/stream", false, true},
		{"dataplane/flow", module + "/agent/apply", false, true},
		{"policy", "os", false, true},
		{"policy", "os", true, false},
		{"policy", "net/netip", false, false},
		{"lab/traffic", "github.com/cilium/ebpf/link", false, true},
		{"lab/bench/liveframe", "github.com/cilium/ebpf/link", false, false},
		{"cloud/fleet", "net/http", false, true},
		{"cloud/api", "net/http", false, false},
		{"cloud", "net/http", false, false},
		{"cloud/account", "modernc.org/sqlite", false, true},
		{"cloud/store", "modernc.org/sqlite", false, false},
		{"agent/command", module + "/lab", false, true},
		{"agent/command", module + "/lab/labtest", true, false},
		{"labels", module + "/lab", false, true},
	}
	for _, tt := range tests {
		got := false
		for _, r := range rules {
			got = got || r.forbids(file{pkg: tt.pkg, test: tt.test}, tt.imported)
		}
		if got != tt.want {
			t.Errorf("%s (test %v) imports %s: forbidden %v, want %v", tt.pkg, tt.test, tt.imported, got, tt.want)
		}
	}
	if domain("cloud/fleet/x") != "fleet" || domain("cloud/store") != "" || domain("cloud") != "" {
		t.Error("domain takes the wrong packages for domains")
	}
}

// root is the top of the repository, seen from here.
const root = "../.."

// skipped are directories that hold nothing of the repository's own.
var skipped = map[string]bool{".git": true, "bin": true, ".run": true, "node_modules": true}

// tracked lists the repository's files, relative to its top.
func tracked(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && skipped[d.Name()] {
			return filepath.SkipDir
		}
		// A worktree's .git is a file.
		if d.Type().IsRegular() && d.Name() != ".git" {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
