// Package firewall owns the router's firewall section: it turns the section's
// document into a policy, compiles it for this router and has the kernel
// enforce it, whole or not at all. The last good document is on disk, so the
// router starts with it and needs no cloud.
package firewall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"sync"

	"ngfw.sh/dataplane/netfilter"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
)

// Kernel enforces images. Package dataplane is one; tests have another.
type Kernel interface {
	Apply(*policy.Image) error
}

// Config of the section.
type Config struct {
	StateDir string
}

// Deps of the section.
type Deps struct {
	Log       *slog.Logger
	Kernel    Kernel
	Netfilter func(netfilter.Ruleset) error
	Loaded    func() (string, error)       // what nftables holds of ours; nil: it is not watched
	Addresses func() ([]netip.Addr, error) // the router's own, now
	Countries Countries                    // what rules may name; the zero value: none
	// Forget ends the flows that are translated by these addresses, which the router
	// has lost. Nil: nobody does.
	Forget func(lost []netip.Addr) (int, error)
	// Renew ends conntrack's entries of changed destinations that the kernel's side
	// cannot end itself. Nil: nobody does.
	Renew func() (int, error)
	// Opened is called until it has succeeded once, after a policy is enforced:
	// forwarding may be switched on now.
	Opened func() error
}

// Section is the firewall as it is enforced. It is safe for concurrent use.
type Section struct {
	cfg  Config
	deps Deps

	mu       sync.Mutex
	decoder  policy.Decoder // both remember the rules, so that a change of one is quick
	compiler policy.Compiler
	state    state
	policy   policy.Policy
	image    *policy.Image // in the kernel; nil: none of ours yet
	ruleset  netfilter.Ruleset
	queues   netfilter.Queues
	self     []netip.Addr
	atlas    string // which state of the database of countries is compiled; "": none
	stale    string // "" or why a newer one is not
	loaded   string // Loaded after the last time that we wrote
	unfit    string // "" or why the stored document is not enforced
	lacking  string // "" or why nftables does not hold what it should
	restored uint64
	enforced bool
	opened   bool
	first    chan struct{} // closed when the first policy is enforced
}

// New makes a section that enforces nothing yet.
func New(cfg Config, deps Deps) *Section {
	return &Section{cfg: cfg, deps: deps, first: make(chan struct{})}
}

// Restore enforces the last good document. False: there is none. One that this
// version refuses is no error: see Degraded.
func (s *Section) Restore() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok, err := readState(s.cfg.StateDir)
	if err != nil || !ok {
		return false, err
	}
	s.state = st
	p, err := s.decoder.Decode(st.Document)
	if err == nil {
		p.Revision = st.Version
		err = s.enforce(p)
	}
	if _, refused := fault.As(err); refused {
		// Another version of the agent accepted it. Ending here would leave nobody
		// to fetch one that fits: what the kernel holds stays, and status says so.
		s.unfit = err.Error()
		s.deps.Log.Error("the stored policy cannot be enforced; what the kernel holds stays until the cloud sends another", "version", st.Version, "err", err)
		return true, nil
	}
	if err != nil {
		return true, err
	}
	return true, s.open()
}

// Apply enforces a document as revision version and keeps it. On an error
// everything stays as it was, unless it says that the policy is enforced; a
// fault names the field.
func (s *Section) Apply(ctx context.Context, version int64, document []byte) error {
	t, err := s.Try(ctx, version, document)
	if t == nil {
		return err
	}
	return errors.Join(err, t.Keep())
}

// enforce compiles p and puts it into the kernel. mu is held.
func (s *Section) enforce(p policy.Policy) error {
	self, err := s.deps.Addresses()
	if err != nil {
		return fmt.Errorf("read the router's addresses: %w", err)
	}
	env := environment(self)
	atlas, err := s.deps.Countries.forPolicy(p, &env)
	if err != nil {
		return err
	}
	image, err := s.compiler.Compile(p, env)
	if err != nil {
		return err
	}
	image.NAT.Generation = generation(image, s.image)
	rules := ruleset(image, s.image)
	rules.Queues = s.queues
	if err := s.swap(image, rules); err != nil {
		return err
	}
	s.renew(image)
	if !s.enforced {
		close(s.first)
	}
	s.policy, s.image, s.ruleset, s.self, s.enforced = p, image, rules, self, true
	s.atlas, s.stale = atlas, ""
	s.unfit = ""
	s.state.remember(image.Legend)
	return nil
}

// swap puts an image and its table into the kernel, or leaves both. mu is held.
func (s *Section) swap(image *policy.Image, rules netfilter.Ruleset) error {
	ahead := s.ahead(rules)
	if ahead {
		// The targets that the new policy sends packets to, beside the old ones.
		both := s.ruleset
		both.Targets = rules.Targets
		if err := s.load(both); err != nil {
			return err
		}
	}
	// The programs first: until the router opens they are on no interface, so a
	// kernel that refuses leaves it as it was. The table then closes it for what
	// is not judged.
	err := s.deps.Kernel.Apply(image)
	if err == nil && (ahead || !s.enforced || !same(rules, s.ruleset)) {
		if err = s.load(rules); err != nil {
			s.back()
		}
	}
	if err != nil && ahead {
		if back := s.load(s.ruleset); back != nil {
			s.deps.Log.Error("the nftables table knows targets of a policy that is not enforced", "err", back)
		}
	}
	return err
}

// ahead: the table must know NAT targets before packets are sent to them.
func (s *Section) ahead(rules netfilter.Ruleset) bool {
	return s.enforced && slices.ContainsFunc(rules.Targets, func(t netfilter.Targets) bool {
		return !slices.ContainsFunc(s.ruleset.Targets, func(have netfilter.Targets) bool { return reflect.DeepEqual(t, have) })
	})
}

// open lets the router forward, once a policy is enforced. mu is held.
func (s *Section) open() error {
	if s.opened || s.deps.Opened == nil {
		return nil
	}
	if err := s.deps.Opened(); err != nil {
		return fmt.Errorf("the policy is enforced, but the router does not forward: %w", err)
	}
	s.opened = true
	return nil
}

// back has the kernel enforce the policy before again.
func (s *Section) back() {
	if s.image == nil {
		return
	}
	if err := s.deps.Kernel.Apply(s.image); err != nil {
		s.deps.Log.Error("the enforced policy differs from its translation", "err", err)
	}
}

// Wait returns when the first policy is enforced; false: ctx ended before.
func (s *Section) Wait(ctx context.Context) bool {
	select {
	case <-s.first:
		return true
	case <-ctx.Done():
		return false
	}
}

// Readdress compiles again if the router's own addresses have changed: rules
// may name them as "self".
func (s *Section) Readdress() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.enforced {
		return nil
	}
	self, err := s.deps.Addresses()
	if err != nil {
		return fmt.Errorf("read the router's addresses: %w", err)
	}
	if slices.Equal(self, s.self) {
		return nil
	}
	lost := slices.DeleteFunc(slices.Clone(s.self), func(a netip.Addr) bool { return slices.Contains(self, a) })
	if err := s.enforce(s.policy); err != nil {
		return err
	}
	s.forget(lost)
	return s.open()
}

// renew looks after flows without ports whose NAT rule may have changed. mu is held.
func (s *Section) renew(image *policy.Image) {
	if s.image == nil || s.deps.Renew == nil || reflect.DeepEqual(image.NAT.Destination, s.image.NAT.Destination) {
		return
	}
	if _, err := s.deps.Renew(); err != nil {
		s.deps.Log.Error("flows of protocols without ports may be dropped until they are silent for a while: their NAT rule has changed", "err", err)
	}
}

// forget ends what is bound to lost addresses: it would wait for answers that
// go elsewhere. mu is held.
func (s *Section) forget(lost []netip.Addr) {
	if len(lost) == 0 || s.deps.Forget == nil {
		return
	}
	switch n, err := s.deps.Forget(lost); {
	case err != nil:
		s.deps.Log.Error("flows stay bound to an address that is lost", "addresses", lost, "err", err)
	case n > 0:
		s.deps.Log.Info("flows ended with the address that they were bound to", "addresses", lost, "flows", n)
	}
}

// Version is that of the enforced document; 0: none.
func (s *Section) Version() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.enforced {
		return 0
	}
	return s.policy.Revision
}

// Legend gives the names of a revision, also of past ones that flows still carry.
func (s *Section) Legend(revision int64) policy.Legend {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.legend(revision)
}

// Rules are the ids of the enforced policy's rules, disabled ones too; those of
// NAT rules negative.
func (s *Section) Rules() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]int64, len(s.policy.Rules))
	for i, r := range s.policy.Rules {
		ids[i] = r.ID
	}
	for _, n := range s.policy.NAT {
		ids = append(ids, -n.ID)
	}
	return ids
}

// WAN are the interfaces of the zone that the way out of the network leads by.
func (s *Section) WAN() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, z := range s.policy.Zones {
		if z.Name == "WAN" {
			return z.Interfaces
		}
	}
	return nil
}

// environment is what a compiled policy depends on here.
func environment(self []netip.Addr) policy.Env {
	return policy.Env{SelfAddresses: self, System: policy.RouterSystem}
}

func ruleset(im, before *policy.Image) netfilter.Ruleset {
	r := netfilter.Ruleset{Targets: targets(im, before), Sources: netfilter.Sources(&im.NAT)}
	for name, zone := range im.Interfaces {
		r.Bridges = append(r.Bridges, name)
		if im.Masquerade[zone] {
			r.Masquerade = append(r.Masquerade, name)
		}
		if im.MSSClamp[zone] {
			r.MSSClamp = append(r.MSSClamp, name)
		}
	}
	slices.Sort(r.Bridges)
	slices.Sort(r.Masquerade)
	slices.Sort(r.MSSClamp)
	return r
}

func same(a, b netfilter.Ruleset) bool {
	return reflect.DeepEqual(a, b)
}
