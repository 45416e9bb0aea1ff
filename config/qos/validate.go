package qos

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strings"

	"ngfw.sh/internal/fault"
)

// Bounds of a section.
const (
	MinMbps     = 0.1
	MaxMbps     = 100_000
	MaxPriority = 7
	MaxClasses  = 16 // the packet mark has five bits, and priorities need some of them
	MaxDevices  = 256
	maxMembers  = 256 // of a class's list
	maxName     = 64
	maxHostname = 255
)

var isolations = []string{"triple-isolate", "dual-srchost", "dual-dsthost", "hosts", "flows"}

// findings gathers what is wrong.
type findings struct{ fields []fault.Field }

func (f *findings) add(path, format string, args ...any) {
	f.fields = append(f.fields, fault.Field{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (f *findings) err() error {
	if len(f.fields) > 0 {
		return fault.InvalidFields(f.fields...)
	}
	return nil
}

func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// NormalizeMAC gives an address of six octets its usual form, 02:00:5e:10:00:01.
func NormalizeMAC(s string) (string, error) {
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != 6 {
		return "", fmt.Errorf("%q is not a MAC address of six pairs of hexadecimal digits", s)
	}
	if mac[0]&1 != 0 || mac.String() == "00:00:00:00:00:00" {
		return "", fmt.Errorf("%q is no device's address", s)
	}
	return mac.String(), nil
}

// Validate judges a section as a whole. Its error names every wrong field by its
// JSON path.
func Validate(d Document) error {
	found := &findings{}
	for name, rate := range map[string]float64{"upload_mbps": d.UploadMbps, "download_mbps": d.DownloadMbps} {
		switch {
		case rate == 0 && !d.Enabled: // not known yet
		case rate == 0:
			found.add(name, "is required to shape anything: the rate of the uplink in Mbit/s")
		case !isRate(rate):
			found.add(name, "must be between %v and %v Mbit/s", MinMbps, MaxMbps)
		}
	}
	slices.SortFunc(found.fields, func(a, b fault.Field) int { return strings.Compare(a.Path, b.Path) })
	switch d.Scheduler {
	case FQCoDel, HTB, Cake:
	default:
		found.add("scheduler", "must be fq_codel, htb or cake, not %q", d.Scheduler)
	}
	if o := d.CakeOptions; o != nil {
		if d.Scheduler != Cake {
			found.add("cake_options", "has no meaning with scheduler %s", d.Scheduler)
		}
		if !slices.Contains(isolations, o.Isolation) {
			found.add("cake_options.isolation", "must be one of %s, not %q", strings.Join(isolations, ", "), o.Isolation)
		}
		if o.RTTMs < 1 || o.RTTMs > 1000 {
			found.add("cake_options.rtt_ms", "must be between 1 and 1000")
		}
	}
	d.checkClasses(found)
	d.checkDevices(found)
	return found.err()
}

func isRate(mbps float64) bool {
	return mbps >= MinMbps && mbps <= MaxMbps && !math.IsNaN(mbps)
}

func (d Document) checkClasses(found *findings) {
	if len(d.Classes) > MaxClasses {
		found.add("classes", "has more than %d members", MaxClasses)
		return
	}
	ids, names := map[int64]bool{}, map[string]bool{}
	sum := 0.0
	for i, c := range d.Classes {
		at := index("classes", i)
		c.check(found, at+".")
		switch {
		case c.ID < 1:
			found.add(at+".id", "must be a positive number")
		case ids[c.ID]:
			found.add(at+".id", "is that of another class already")
		}
		if names[c.Name] && c.Name != "" {
			found.add(at+".name", "another class is called %q", c.Name)
		}
		ids[c.ID], names[c.Name] = true, true
		if c.GuaranteedMbps == nil || !isRate(*c.GuaranteedMbps) {
			continue
		}
		sum += *c.GuaranteedMbps
		if link, direction := d.slower(); link > 0 && sum > link*(1+1e-9) {
			found.add(at+".guaranteed_mbps", "the guarantees up to here are %v Mbit/s, the link has %v of %s", sum, link, direction)
		}
	}
}

// slower is the direction that guarantees must fit: they hold in both. 0: neither
// is known.
func (d Document) slower() (mbps float64, direction string) {
	if d.UploadMbps > 0 && (d.UploadMbps <= d.DownloadMbps || d.DownloadMbps <= 0) {
		return d.UploadMbps, "upload"
	}
	return d.DownloadMbps, "download"
}

// CheckClass judges a class by itself, as a request's body: paths begin with its
// own fields. Whether it fits the others, Validate says.
func CheckClass(c Class) error {
	found := &findings{}
	c.check(found, "")
	return found.err()
}

// check judges a class by itself; at ends in a dot, or is "".
func (c Class) check(found *findings, at string) {
	if c.Name == "" || len(c.Name) > maxName {
		found.add(at+"name", "must have 1 to %d bytes", maxName)
	}
	if c.Priority < 0 || c.Priority > MaxPriority {
		found.add(at+"priority", "must be between 0, the first, and %d", MaxPriority)
	}
	if !checkRate(found, at+"guaranteed_mbps", c.GuaranteedMbps) || !checkRate(found, at+"max_mbps", c.MaxMbps) {
	} else if c.GuaranteedMbps != nil && c.MaxMbps != nil && *c.MaxMbps < *c.GuaranteedMbps {
		found.add(at+"max_mbps", "is less than is guaranteed")
	}
	for name, n := range map[string]int{"applications": len(c.Applications), "dscp_markings": len(c.DSCPMarkings), "ports": len(c.Ports)} {
		if n > maxMembers {
			found.add(at+name, "has more than %d members", maxMembers)
		}
	}
	for i, name := range c.Applications {
		if _, ok := applications[name]; !ok {
			found.add(at+index("applications", i), "there is no application %q: known are %s", name, strings.Join(Applications(), ", "))
		}
	}
	for i, v := range c.DSCPMarkings {
		if v < 0 || v > 63 {
			found.add(at+index("dscp_markings", i), "%d is no DSCP: it has six bits, 0 to 63", v)
		}
	}
	for i, p := range c.Ports {
		if _, err := p.Range(); err != nil {
			found.add(at+index("ports", i), "%v", err)
		}
	}
}

func checkRate(found *findings, at string, mbps *float64) bool {
	if mbps != nil && !isRate(*mbps) {
		found.add(at, "must be between %v and %v Mbit/s", MinMbps, MaxMbps)
		return false
	}
	return true
}

func (d Document) checkDevices(found *findings) {
	if len(d.DeviceLimits) > MaxDevices {
		found.add("device_limits", "has more than %d members", MaxDevices)
		return
	}
	macs := map[string]bool{}
	for i, l := range d.DeviceLimits {
		at := index("device_limits", i)
		l.check(found, at+".")
		if mac, err := NormalizeMAC(l.MAC); err == nil {
			if macs[mac] {
				found.add(at+".mac", "has a limit already")
			}
			macs[mac] = true
		}
	}
}

// CheckDeviceLimit judges a limit by itself, as a request's body.
func CheckDeviceLimit(l DeviceLimit) error {
	found := &findings{}
	l.check(found, "")
	return found.err()
}

func (l DeviceLimit) check(found *findings, at string) {
	if _, err := NormalizeMAC(l.MAC); err != nil {
		found.add(at+"mac", "%v", err)
	}
	if len(l.Hostname) > maxHostname {
		found.add(at+"hostname", "is longer than %d bytes", maxHostname)
	}
	checkRate(found, at+"upload_mbps", l.UploadMbps)
	checkRate(found, at+"download_mbps", l.DownloadMbps)
	if l.Priority != nil && (*l.Priority < 0 || *l.Priority > MaxPriority) {
		found.add(at+"priority", "must be between 0, the first, and %d", MaxPriority)
	}
	if l.UploadMbps == nil && l.DownloadMbps == nil && l.Priority == nil {
		found.add(at+"upload_mbps", "say at least one of upload_mbps, download_mbps and priority")
	}
}
