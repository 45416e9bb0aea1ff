package firewall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/dataplane/netfilter"
	"ngfw.sh/policy"
)

// world is what a section acts on, as a test sees it.
type world struct {
	t         testing.TB
	dir       string
	images    []*policy.Image // as the kernel took them
	rules     []netfilter.Ruleset
	addresses []netip.Addr
	opened    int

	kernel, table, opening, reading error // what fails
}

func newWorld(t testing.TB) *world {
	return &world{t: t, dir: t.TempDir(), addresses: []netip.Addr{netip.MustParseAddr("10.0.1.1")}}
}

func (w *world) Apply(im *policy.Image) error {
	if w.kernel != nil {
		return w.kernel
	}
	w.images = append(w.images, im)
	return nil
}

func (w *world) section() *Section {
	return New(Config{StateDir: w.dir}, Deps{
		Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)), Kernel: w,
		Netfilter: func(r netfilter.Ruleset) error {
			if w.table == nil {
				w.rules = append(w.rules, r)
			}
			return w.table
		},
		Addresses: func() ([]netip.Addr, error) { return w.addresses, w.reading },
		Opened: func() error {
			w.opened++
			return w.opening
		},
	})
}

// enforced is the revision that the kernel has now.
func (w *world) enforced() int64 {
	if len(w.images) == 0 {
		return 0
	}
	return w.images[len(w.images)-1].Revision
}

func document(zone, rules string) []byte {
	return []byte(`{"zones":[{"id":1,"name":"` + zone + `","interfaces":["wan"],"masquerade":` + fmt.Sprint(zone == "WAN") + `,"mss_clamping":true},
{"id":2,"name":"LAN","interfaces":["lan1","lan0"]}],"rules":[` + rules + `],"policies":[]}`)
}

const toSelf = `{"id":4,"name":"ssh","zone_from":"LAN","zone_to":"SELF","destination":"self","protocol":"tcp","port":"22","action":"accept"}`

func apply(t *testing.T, s *Section, version int64, doc []byte) {
	t.Helper()
	if err := s.Apply(context.Background(), version, doc); err != nil {
		t.Fatal(err)
	}
}

func TestApplyEnforcesAndKeeps(t *testing.T) {
	w := newWorld(t)
	s := w.section()
	if s.Version() != 0 || s.Readdress() != nil || len(w.images) != 0 {
		t.Error("something was enforced before anything was said")
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if s.Wait(ended) {
		t.Error("there was nothing to wait for")
	}
	apply(t, s, 3, document("WAN", toSelf))
	if !s.Wait(context.Background()) || s.Version() != 3 || w.enforced() != 3 || w.opened != 1 {
		t.Errorf("version %d, the kernel has %d, opened %d times", s.Version(), w.enforced(), w.opened)
	}
	want := []netfilter.Ruleset{{Masquerade: []string{"wan"}, MSSClamp: []string{"wan"}, Bridges: []string{"lan0", "lan1", "wan"}}}
	if d := cmp.Diff(want, w.rules); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"wan"}, s.WAN()); d != "" {
		t.Error(d)
	}
	apply(t, s, 4, document("WAN", toSelf)) // the same translation: the table stays
	apply(t, s, 5, document("DMZ", toSelf))
	if len(w.rules) != 2 || w.rules[1].Masquerade != nil || w.opened != 1 || s.WAN() != nil {
		t.Errorf("tables %+v, opened %d times, WAN %v", w.rules, w.opened, s.WAN())
	}
	if d := cmp.Diff([]int64{4}, s.Rules()); d != "" {
		t.Error(d)
	}

	// A new process goes on with it.
	again := w.section()
	have, err := again.Restore()
	if !have || err != nil || again.Version() != 5 || w.enforced() != 5 || w.opened != 2 {
		t.Errorf("%v, %v, version %d", have, err, again.Version())
	}
	if info, err := os.Stat(statePath(w.dir)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestRefusedDocumentChangesNothing(t *testing.T) {
	w := newWorld(t)
	s := w.section()
	apply(t, s, 1, document("WAN", toSelf))
	stored, _ := os.ReadFile(statePath(w.dir))
	for name, tc := range map[string]struct{ rules, text string }{
		"no JSON":      {`{`, "JSON"},
		"wrong":        {strings.Replace(toSelf, `"LAN"`, `"NOWHERE"`, 1), "rules[0].zone_from"},
		"not enforced": {strings.Replace(toSelf, `"id":4`, `"id":4,"source":"geo:DE"`, 1), "rules[0].source"},
	} {
		err := s.Apply(context.Background(), 2, document("WAN", tc.rules))
		if err == nil || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.reading = errors.New("netlink is gone")
	if err := s.Apply(context.Background(), 2, document("WAN", "")); !errors.Is(err, w.reading) {
		t.Error(err)
	}
	if after, _ := os.ReadFile(statePath(w.dir)); string(after) != string(stored) || s.Version() != 1 || w.enforced() != 1 || len(w.rules) != 1 {
		t.Errorf("version %d, the kernel has %d", s.Version(), w.enforced())
	}
}

func TestFailingKernelLeavesAll(t *testing.T) {
	w := newWorld(t)
	s := w.section()
	// The first policy: a machine that was open must not be closed by a failure.
	w.kernel = errors.New("out of memory")
	if err := s.Apply(context.Background(), 1, document("WAN", "")); !errors.Is(err, w.kernel) || len(w.rules) != 0 || w.opened != 0 || s.Version() != 0 {
		t.Fatalf("%v, tables %v, opened %d", err, w.rules, w.opened)
	}
	w.kernel = nil
	apply(t, s, 1, document("WAN", ""))

	w.kernel = errors.New("out of memory")
	if err := s.Apply(context.Background(), 2, document("DMZ", "")); !errors.Is(err, w.kernel) || len(w.rules) != 1 || s.Version() != 1 {
		t.Errorf("%v, tables %v, version %d", err, w.rules, s.Version())
	}
	w.kernel, w.table = nil, errors.New("no nf_tables")
	if err := s.Apply(context.Background(), 2, document("DMZ", "")); !errors.Is(err, w.table) || w.enforced() != 1 || s.Version() != 1 {
		t.Errorf("%v, the kernel has %d, version %d: the old policy and its table belong together", err, w.enforced(), s.Version())
	}
	w.table = nil
	if have, err := w.section().Restore(); !have || err != nil || w.enforced() != 1 {
		t.Errorf("%v, %v: stored is %d", have, err, w.enforced())
	}
}

func TestOpeningIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	s := w.section()
	w.opening = errors.New("sysctl is read-only")
	err := s.Apply(context.Background(), 1, document("WAN", ""))
	if !errors.Is(err, w.opening) || !strings.Contains(err.Error(), "is enforced") || s.Version() != 1 {
		t.Fatalf("%v, version %d", err, s.Version())
	}
	w.opening = nil
	apply(t, s, 2, document("WAN", ""))
	apply(t, s, 3, document("WAN", ""))
	if w.opened != 2 {
		t.Errorf("opened %d times", w.opened)
	}
}

func TestOwnAddressesAreFollowed(t *testing.T) {
	w := newWorld(t)
	s := w.section()
	apply(t, s, 1, document("WAN", toSelf))
	if err := s.Readdress(); err != nil || len(w.images) != 1 {
		t.Errorf("%v: compiled %d times without a change", err, len(w.images))
	}
	ssh := func(im *policy.Image, to string) policy.Action {
		return im.JudgePacket(policy.Packet{In: "lan0", Out: policy.InterfaceSelf, Src: netip.MustParseAddr("10.0.1.9"), Dst: netip.MustParseAddr(to), Protocol: 6, DstPort: 22}).Action
	}
	w.addresses = append(w.addresses, netip.MustParseAddr("192.0.2.1"))
	if err := s.Readdress(); err != nil || len(w.images) != 2 || w.enforced() != 1 {
		t.Fatalf("%v, compiled %d times, revision %d", err, len(w.images), w.enforced())
	}
	if a, b := ssh(w.images[0], "192.0.2.1"), ssh(w.images[1], "192.0.2.1"); a != policy.Drop || b != policy.Accept {
		t.Errorf("self was %s, is %s", a, b)
	}
	w.kernel = errors.New("no")
	w.addresses = w.addresses[:1]
	if err := s.Readdress(); !errors.Is(err, w.kernel) {
		t.Error(err)
	}
	w.kernel = nil
	if err := s.Readdress(); err != nil || len(w.images) != 3 {
		t.Errorf("%v: a change that failed was not tried again", err)
	}
}

func TestStateThatCannotBeUsed(t *testing.T) {
	w := newWorld(t)
	if have, err := w.section().Restore(); have || err != nil {
		t.Errorf("an empty directory: %v, %v", have, err)
	}
	for name, tc := range map[string]struct{ content, remedy string }{
		"cut":           {`{"format":1,"version":3,"docu`, "remove it"},
		"empty":         {``, "remove it"},
		"newer":         {fmt.Sprintf(`{"format":%d,"version":3,"document":{}}`, stateFormat+1), "start the newer ngfw-agent"},
		"not even text": {"\x00\x01", "remove it"},
	} {
		if err := os.WriteFile(statePath(w.dir), []byte(tc.content), 0o600); err != nil {
			t.Fatal(err)
		}
		have, err := w.section().Restore()
		if err == nil || !strings.Contains(err.Error(), tc.remedy) {
			t.Errorf("%s: %v, %v", name, have, err)
		}
		if len(w.images)+len(w.rules)+w.opened > 0 {
			t.Fatalf("%s: the kernel was touched", name)
		}
	}
}

// A document that another version accepted leaves the agent running, so that
// the cloud can send one that fits.
func TestStoredPolicyThatIsRefused(t *testing.T) {
	for name, content := range map[string]string{
		"not a policy": `{"format":1,"version":3,"document":{"zones":7}}`,
		"no document":  `{"format":1,"version":3}`,
		"not enforced": `{"format":1,"version":3,"document":{"zones":[],"rules":[{"id":1,"name":"x","zone_from":"any","zone_to":"any","source":"geo:DE","action":"drop"}],"policies":[]}}`,
	} {
		w := newWorld(t)
		if err := os.WriteFile(statePath(w.dir), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s := w.section()
		if have, err := s.Restore(); !have || err != nil {
			t.Errorf("%s: %v, %v", name, have, err)
		}
		if len(w.images)+len(w.rules)+w.opened > 0 || s.Version() != 0 {
			t.Errorf("%s: the kernel was touched", name)
		}
		if d := s.Degraded(); len(d) != 1 || !strings.Contains(d[0], "stored policy") {
			t.Errorf("%s: degraded %q", name, d)
		}
		apply(t, s, 4, document("WAN", ""))
		if d := s.Degraded(); len(d) != 0 || s.Version() != 4 {
			t.Errorf("%s: after a good one: version %d, degraded %q", name, s.Version(), d)
		}
	}
}

func TestStateThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	s := w.section()
	w.dir = filepath.Join(w.dir, "gone")
	s.cfg.StateDir = w.dir
	apply(t, s, 1, document("WAN", "")) // enforced, and logged that it is not stored
	if s.Version() != 1 {
		t.Errorf("version %d", s.Version())
	}
}

func TestLegendsOutliveTheirPolicies(t *testing.T) {
	w := newWorld(t)
	s := w.section()
	for v := range int64(keptLegends + 10) {
		apply(t, s, v+1, document("WAN", strings.Replace(toSelf, "ssh", fmt.Sprintf("rule %d", v+1), 1)))
	}
	again := w.section()
	if _, err := again.Restore(); err != nil {
		t.Fatal(err)
	}
	const newest = keptLegends + 10
	for _, s := range []*Section{s, again} {
		for revision, want := range map[int64]string{newest: fmt.Sprintf("rule %d", newest), 11: "rule 11", 10: "", 9999: ""} {
			l := s.Legend(revision)
			if l.Rules[4] != want || l.Revision != revision || want != "" && l.Zone(3) != "LAN" {
				t.Errorf("revision %d: %+v", revision, l)
			}
		}
		if s.Legend(10).Zone(3) != "" {
			t.Error("a forgotten legend has zones")
		}
	}
}
