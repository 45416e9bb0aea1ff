package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// compileBoth holds what a compiler makes of a policy against what is made of it
// afresh: image or refusal, nothing may tell them apart.
func compileBoth(t interface {
	Helper()
	Fatalf(string, ...any)
}, c *policy.Compiler, p policy.Policy, env policy.Env) {
	t.Helper()
	got, gotErr := c.Compile(p, env)
	want, wantErr := policy.Compile(p, env)
	if (gotErr == nil) != (wantErr == nil) || gotErr != nil && (gotErr.Error() != wantErr.Error() || fields(gotErr) != fields(wantErr)) {
		t.Fatalf("it says %v, afresh it is %v", gotErr, wantErr)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("the images differ (-afresh +remembered):\n%s", cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})))
	}
}

// edit changes a policy as people do; some of it makes no valid one.
func edit(t *rapid.T, p *policy.Policy, env *policy.Env, other policy.Policy) {
	rule := func() *policy.Rule {
		return &p.Rules[rapid.IntRange(0, len(p.Rules)-1).Draw(t, "rule")]
	}
	place := func() int { return rapid.IntRange(0, len(p.Rules)).Draw(t, "place") }
	kind := rapid.IntRange(0, 13).Draw(t, "edit")
	if len(p.Rules) == 0 && kind < 8 {
		kind = 8
	}
	switch kind {
	case 0:
		r := rule()
		r.Action = rapid.SampledFrom([]policy.Action{policy.Accept, policy.Drop, policy.Reject, "pass"}).Draw(t, "action")
	case 1:
		r := rule()
		r.Enabled = !r.Enabled
	case 2:
		r := rule()
		r.Log, r.Name = !r.Log, rapid.SampledFrom([]string{"web", "mail", ""}).Draw(t, "name")
	case 3:
		r := rule()
		r.Source = rapid.SampledFrom([]string{"any", "10.0.0.0/8", "!10.1.0.0/16", "2001:db8::/32", "self", "mac:02:00:00:00:00:01", "10.0.0.9-10.0.1.3", "everywhere"}).Draw(t, "source")
	case 4:
		r := rule()
		r.Protocol, r.Port = "tcp+udp", rapid.SampledFrom([]string{"80", "1-1024,8080", "*"}).Draw(t, "port")
		r.ICMPTypes = nil
	case 5:
		i := place() % len(p.Rules)
		p.Rules = slices.Delete(p.Rules, i, i+1)
	case 6:
		i, j := place()%len(p.Rules), place()%len(p.Rules)
		p.Rules[i], p.Rules[j] = p.Rules[j], p.Rules[i]
	case 7:
		r := rule()
		r.Schedule = policy.Schedule{Enabled: !r.Schedule.Enabled, Start: "22:00", End: "06:30", Days: []int{1, rapid.IntRange(0, 6).Draw(t, "day")}}
	case 8:
		r := policy.NewRule()
		r.ID, r.Name, r.ZoneFrom, r.ZoneTo, r.Action = rapid.Int64Range(1, 1<<20).Draw(t, "id"), "new", "any", "any", policy.Drop
		r.Destination = fmt.Sprintf("10.%d.0.0/16", rapid.IntRange(0, 255).Draw(t, "net"))
		p.Rules = slices.Insert(p.Rules, place(), r)
	case 9:
		if len(p.Groups) > 0 {
			g := &p.Groups[rapid.IntRange(0, len(p.Groups)-1).Draw(t, "group")]
			if len(g.Members) > 0 {
				// In place, as who keeps a policy may.
				g.Members[0] = g.Members[len(g.Members)-1]
			}
		}
	case 10:
		p.NAT = other.NAT
	case 11:
		p.Policies = other.Policies
	case 12:
		env.SelfAddresses = append(slices.Clone(env.SelfAddresses), netip.AddrFrom4([4]byte{10, 9, 8, byte(rapid.IntRange(1, 3).Draw(t, "self"))}))
	case 13:
		*p = other
	}
	p.Revision++
}

// TestCompilerForgetsNothingAndMakesNothingUp edits policies at random. Nothing
// that was compiled before may show in an image.
func TestCompilerForgetsNothingAndMakesNothingUp(t *testing.T) {
	compiled, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var c policy.Compiler
		p, env := policytest.Policies().Draw(t, "policy"), policytest.Envs().Draw(t, "env")
		for range 8 {
			compileBoth(t, &c, p, env)
			if _, err := policy.Compile(p, env); err == nil {
				compiled++
			} else {
				refused++
			}
			edit(t, &p, &env, policytest.Policies().Draw(t, "other"))
		}
	})
	if compiled == 0 || refused == 0 {
		t.Errorf("%d policies compiled, %d were refused: the test holds nothing", compiled, refused)
	}
}

// TestCompilerOnLargeRuleSets edits rule sets whose trees are many and deep, so
// that what is kept are parts of them.
func TestCompilerOnLargeRuleSets(t *testing.T) {
	for _, family := range policytest.Families {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/v6=%v", family, v6), func(t *testing.T) {
				const n = 3_000
				p := policytest.RuleSet(3, family, v6, n)
				spare := policytest.RuleSet(4, family, v6, n/10).Rules
				r := rand.New(rand.NewPCG(1, uint64(len(family))))
				var c policy.Compiler
				compileBoth(t, &c, p, policy.Env{})
				for step := range 12 {
					at := r.IntN(len(p.Rules) - 40)
					switch step % 6 {
					case 0:
						p.Rules[at].Action = policy.Reject
					case 1:
						p.Rules = slices.Delete(p.Rules, at, at+1+r.IntN(3))
					case 2:
						s := spare[step]
						s.ID = int64(10*n + step)
						p.Rules = slices.Insert(p.Rules, at, s)
					case 3: // a block moves
						block := slices.Clone(p.Rules[at : at+30])
						p.Rules = slices.Insert(slices.Delete(p.Rules, at, at+30), at/2, block...)
					case 4: // many at once: most of the handles have no use any more
						for i := range p.Rules[:len(p.Rules)*2/3] {
							p.Rules[i].Destination = spare[i%len(spare)].Destination
						}
					case 5:
						p.Rules[at].Schedule = policy.Schedule{Enabled: true, Start: "08:00", End: "17:59", Days: []int{1, 2}}
					}
					compileBoth(t, &c, p, policy.Env{})
				}
			})
		}
	}
}

// A refusal leaves a compiler that compiles as well as any.
func TestCompilerAfterRefusals(t *testing.T) {
	var c policy.Compiler
	p := policytest.RuleSet(1, policytest.AccessList, false, 700)
	compileBoth(t, &c, p, policy.Env{})
	bad := hostile("crossing", 8_000) // refused with its trees built
	compileBoth(t, &c, bad, policy.Env{})
	compileBoth(t, &c, p, policy.Env{})
	p.Rules[5].ZoneTo = "nowhere"
	if _, err := c.Compile(p, policy.Env{}); !fault.Is(err, fault.InvalidConfig) {
		t.Fatal(err)
	}
	p.Rules[5].ZoneTo = "WAN"
	compileBoth(t, &c, p, policy.Env{})
	p.Rules[7].ID = p.Rules[6].ID // each valid by itself
	compileBoth(t, &c, p, policy.Env{})
}

// BenchmarkCompilerChange is one rule of 10,000 changed.
func BenchmarkCompilerChange(b *testing.B) {
	for _, family := range policytest.Families {
		for _, kind := range []string{"action", "port", "insert", "delete"} {
			b.Run(fmt.Sprintf("%s/%s", family, kind), func(b *testing.B) {
				p := policytest.RuleSet(1, family, false, 10_000)
				var c policy.Compiler
				if _, err := c.Compile(p, policy.Env{}); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					r := &p.Rules[i*7919%len(p.Rules)]
					switch kind {
					case "action":
						if r.Action = policy.Drop; i%2 == 0 {
							r.Action = policy.Accept
						}
					case "port":
						r.Protocol, r.Port = "tcp", fmt.Sprint(i%60000+1)
					case "insert":
						in := *r
						in.ID, in.Port, in.Protocol = int64(1_000_000+i), "7", "udp"
						p.Rules = slices.Insert(p.Rules, i*7919%len(p.Rules), in)
					case "delete":
						if len(p.Rules) > 100 {
							at := i * 7919 % len(p.Rules)
							p.Rules = slices.Delete(p.Rules, at, at+1)
						}
					}
					if _, err := c.Compile(p, policy.Env{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
