package policy

import (
	"fmt"
	"slices"
	"strings"
)

// maxID bounds rule ids: a Decider holds them in 28 bits.
const maxID = 1<<28 - 1

// Validate judges what a policy means and reports everything that is wrong,
// each under its JSON path, in one *fault.Error: InvalidConfig, or Conflict
// when all that is wrong is that something is taken already. Every rule of a
// policy has its id by then.
//
// A valid policy is one that Evaluate understands.
func Validate(p Policy) error {
	return new(Compiler).validate(&p, new(memory))
}

func newValidator(p *Policy) *validator {
	v := &validator{policy: p, zones: map[string]bool{}, groups: map[string]string{}}
	if _, err := loadZone(p.TimeZone); err != nil {
		v.add("time_zone", "%s", err.Error())
	}
	for i, s := range p.SelfAddresses {
		_, err := parseAddress(s)
		v.failed(index("self_addresses", i), err)
	}
	return v
}

type validator struct {
	findings
	policy *Policy
	zones  map[string]bool   // the custom ones
	groups map[string]string // name → type

	known map[int64]*ruleForm // rules that are valid as they are, by id
}

func (v *validator) checkZones() {
	owner := map[string]string{} // interface → zone
	custom := 0
	for i, z := range v.policy.Zones {
		path := index("zones", i)
		if z.Name == ZoneSelf {
			v.checkSelfZone(path, z)
			continue
		}
		if v.checkZoneName(path+".name", z.Name) {
			v.zones[z.Name] = true
		}
		if custom++; custom == MaxZones-1 {
			v.add(path, "a policy has at most %d zones beside %s: join some", MaxZones-2, ZoneSelf)
		}
		for j, name := range z.Interfaces {
			at := index(path+".interfaces", j)
			if v.failed(at, checkInterface(name)) {
				continue
			}
			switch other, taken := owner[name]; {
			case !taken:
				owner[name] = z.Name
			case slices.Contains(z.Interfaces[:j], name):
				v.add(at, "%s is listed twice", name)
			default:
				v.conflict(at, "%s is in zone %s already: an interface is in one zone, remove it there first", name, other)
			}
		}
	}
}

// checkSelfZone accepts the router's own zone in the list, where the API shows
// it, as long as nothing is configured there.
func (v *validator) checkSelfZone(path string, z Zone) {
	if len(z.Interfaces) > 0 {
		v.add(path+".interfaces", "%s is the router itself and has no interfaces", ZoneSelf)
	}
	if z.Masquerade {
		v.add(path+".masquerade", "nothing leaves through %s: set it on the zone that packets leave through", ZoneSelf)
	}
	if z.MSSClamping {
		v.add(path+".mss_clamping", "nothing leaves through %s: set it on the zone that packets leave through", ZoneSelf)
	}
}

func (v *validator) checkZoneName(path, name string) bool {
	if err := checkName(name); err != nil {
		v.add(path, "the name %s", err.Error())
		return false
	}
	if strings.EqualFold(name, ZoneAny) || strings.EqualFold(name, ZoneSelf) {
		v.add(path, "%q is reserved (%s is every zone, %s the router): choose another name", name, ZoneAny, ZoneSelf)
		return false
	}
	if v.zones[name] {
		v.conflict(path, "zone %s exists already: choose another name", name)
		return false
	}
	return true
}

// checkZoneReference judges where a rule or policy names a zone.
func (v *validator) checkZoneReference(path, name string) {
	if name == ZoneAny || name == ZoneSelf || v.zones[name] {
		return
	}
	if name == "" {
		v.add(path, "names no zone: write a zone's name, %s or %s", ZoneSelf, ZoneAny)
		return
	}
	var names []string
	for _, z := range v.policy.Zones {
		if v.zones[z.Name] {
			names = append(names, z.Name)
		}
	}
	names = append(names, ZoneSelf, ZoneAny)
	v.add(path, "there is no zone %q: write one of %s", name, strings.Join(names, ", "))
}

func (v *validator) checkZonePair(path, from, to, fromName, toName string) {
	v.checkZoneReference(path+"."+fromName, from)
	v.checkZoneReference(path+"."+toName, to)
	if from == ZoneSelf && to == ZoneSelf {
		v.add(path+"."+toName, "what the router sends to itself is not judged: name another zone")
	}
}

func (v *validator) checkAction(path string, a Action) {
	switch a {
	case Accept, Drop, Reject:
	default:
		v.add(path, "%q is no action: write accept, drop or reject", string(a))
	}
}

func (v *validator) checkDefaults() {
	first := map[[2]string]int{}
	for i, d := range v.policy.Policies {
		path := index("policies", i)
		v.checkZonePair(path, d.From, d.To, "from", "to")
		v.checkAction(path+".action", d.Action)
		pair := [2]string{d.From, d.To}
		if other, again := first[pair]; again {
			v.add(path, "policies[%d] is for %s to %s already: keep one of them", other, d.From, d.To)
			continue
		}
		first[pair] = i
	}
}

// checkID judges one of a list of ids, which seen holds the places of.
func (v *validator) checkID(list string, i int, id int64, seen map[int64]int) {
	if id < 1 || id > maxID {
		v.add(index(list, i)+".id", "must be between 1 and %d, not %d: counters and log rows name what decided by it", maxID, id)
		return
	}
	if other, again := seen[id]; again {
		v.add(index(list, i)+".id", "%s[%d] has the id %d already: ids are never used twice", list, other, id)
		return
	}
	seen[id] = i
}

func listOfWords(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return fmt.Sprintf("%s or %s", strings.Join(words[:last], ", "), words[last])
}
