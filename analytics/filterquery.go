package analytics

import (
	"net/netip"
	"strings"
	"unicode"

	"ngfw.sh/internal/fault"
)

// filtered is a request with the filters of the log.
type filtered interface {
	GetDeviceId() string
	GetAction() []string
	GetProto() []string
	GetSrc() []string
	GetDst() []string
	GetPort() []string
	GetApp() []string
	GetGeo() []string
	GetThreat() []string
	GetEvent() []string
	GetRuleId() []string
	GetQ() string
}

// readFilter reads the filters of a request, not its times. Its errors name the
// parameter.
func readFilter(r filtered) (filter, error) {
	f := filter{deviceID: r.GetDeviceId()}
	var errs [11]error
	f.actions, errs[0] = list("action", r.GetAction(), enumeration[action](actionNames[:]))
	f.events, errs[1] = list("event", r.GetEvent(), enumeration[event](eventNames[:]))
	f.protocols, errs[2] = list("proto", r.GetProto(), readProtocol)
	f.sources, errs[3] = list("src", r.GetSrc(), readPrefix)
	f.targets, errs[4] = list("dst", r.GetDst(), readPrefix)
	f.ports, errs[5] = list("port", r.GetPort(), readPorts)
	f.apps, errs[6] = list("app", r.GetApp(), readText)
	f.geos, errs[7] = list("geo", r.GetGeo(), readCountry)
	f.threats, errs[8] = list("threat", r.GetThreat(), readText)
	f.rules, errs[9] = list("rule_id", r.GetRuleId(), readRule)
	f.search, f.address, errs[10] = readSearch(r.GetQ())
	for _, err := range errs {
		if err != nil {
			return filter{}, err
		}
	}
	return f, nil
}

// readSearch reads q: text, and the address that it is, if it is one.
func readSearch(text string) (string, netip.Addr, error) {
	if len(text) > maxText || strings.ContainsFunc(text, unicode.IsControl) {
		return "", netip.Addr{}, fault.Invalid("q", "is too long or holds control characters")
	}
	var exact netip.Addr
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		exact = a.Unmap()
	}
	return strings.ToLower(text), exact, nil
}
