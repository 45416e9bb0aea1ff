package telemetry

import (
	"cmp"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// sensor is a thermometer. Those of hwmon name themselves "chip label", those
// of the thermal framework by the zone's type.
type sensor struct {
	name     string
	celsius  float64
	critical *float64
	cpu      bool // on the processor
}

// fan is a fan of hwmon.
type fan struct {
	name    string
	rpm     int
	percent *int32 // of full power, where the chip drives it
}

// readSensors reads hwmon and, for machines that have none there, thermal
// zones. A sensor that does not answer (many drivers fail while the device
// sleeps) is left out.
func readSensors(root fs.FS) []sensor {
	var found []sensor
	for _, chip := range entries(root, "sys/class/hwmon") {
		name := text(root, chip+"/name")
		for _, input := range matching(root, chip, "temp", "_input") {
			n, ok := number(root, input)
			if !ok {
				continue
			}
			base := strings.TrimSuffix(input, "_input")
			s := sensor{name: label(root, name, base), celsius: n / 1000, cpu: isProcessor(name)}
			if crit, ok := number(root, base+"_crit"); ok && crit > 0 {
				crit /= 1000
				s.critical = &crit
			}
			found = append(found, s)
		}
	}
	known := map[string]bool{}
	for _, s := range found {
		known[normal(s.name)] = true
	}
	for _, zone := range entries(root, "sys/class/thermal") {
		if !strings.HasPrefix(path.Base(zone), "thermal_zone") {
			continue
		}
		kind := text(root, zone+"/type")
		n, ok := number(root, zone+"/temp")
		// The kernel mirrors every zone into hwmon under the zone's type.
		if !ok || known[normal(kind)] {
			continue
		}
		s := sensor{name: cmp.Or(kind, path.Base(zone)), celsius: n / 1000, cpu: isProcessor(kind)}
		for _, trip := range matching(root, zone, "trip_point_", "_type") {
			if text(root, trip) != "critical" {
				continue
			}
			if crit, ok := number(root, strings.TrimSuffix(trip, "_type")+"_temp"); ok && crit > 0 {
				crit /= 1000
				s.critical = &crit
			}
		}
		found = append(found, s)
	}
	return slices.DeleteFunc(found, func(s sensor) bool { return s.celsius < -100 || s.celsius > 250 })
}

// temperature is the machine's: the hottest processor sensor, else the hottest
// of all, nil without any.
func temperature(sensors []sensor) *float64 {
	var hottest *sensor
	for i, s := range sensors {
		if hottest == nil || s.cpu && !hottest.cpu || s.cpu == hottest.cpu && s.celsius > hottest.celsius {
			hottest = &sensors[i]
		}
	}
	if hottest == nil {
		return nil
	}
	return &hottest.celsius
}

func readFans(root fs.FS) []fan {
	var found []fan
	for _, chip := range entries(root, "sys/class/hwmon") {
		name := text(root, chip+"/name")
		for _, input := range matching(root, chip, "fan", "_input") {
			rpm, ok := number(root, input)
			if !ok || rpm < 0 || rpm > math.MaxInt32 {
				continue
			}
			base := strings.TrimSuffix(input, "_input")
			f := fan{name: label(root, name, base), rpm: int(rpm)}
			pwm := chip + "/pwm" + strings.TrimPrefix(path.Base(base), "fan")
			if n, ok := number(root, pwm); ok && n >= 0 && n <= 255 {
				p := percent(uint64(n), 255)
				f.percent = &p
			}
			found = append(found, f)
		}
	}
	return found
}

// isProcessor knows the chips and zone types of processors by the names that
// their drivers give.
func isProcessor(name string) bool {
	n := strings.ToLower(name)
	for _, part := range []string{"coretemp", "k10temp", "k8temp", "zenpower", "x86_pkg_temp", "cpu", "soc", "tcpu"} {
		if strings.Contains(n, part) {
			return true
		}
	}
	return false
}

// label names one input of a chip: by the driver's label, else by its number.
func label(root fs.FS, chip, base string) string {
	l := text(root, base+"_label")
	if l == "" && strings.HasSuffix(base, "/temp1") {
		return cmp.Or(chip, "temp1") // the usual case of a chip with one
	}
	return strings.TrimSpace(chip + " " + cmp.Or(l, path.Base(base)))
}

// normal makes names comparable: the hwmon mirror of a zone turns - into _.
func normal(name string) string { return strings.ReplaceAll(name, "-", "_") }

// entries lists the directories of a class, in natural order.
func entries(root fs.FS, class string) []string {
	found, err := fs.ReadDir(root, class)
	if err != nil {
		return nil // the machine has no such class
	}
	names := make([]string, len(found))
	for i, e := range found {
		names[i] = path.Join(class, e.Name())
	}
	slices.SortFunc(names, naturally)
	return names
}

// matching lists the files of dir named prefix…suffix, in natural order.
func matching(root fs.FS, dir, prefix, suffix string) []string {
	var names []string
	for _, e := range entries(root, dir) {
		if b := path.Base(e); strings.HasPrefix(b, prefix) && strings.HasSuffix(b, suffix) {
			names = append(names, e)
		}
	}
	return names
}

// naturally orders hwmon2 before hwmon10.
func naturally(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// text reads a small file; "" when it cannot be read.
func text(root fs.FS, name string) string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.TrimRight(string(b), "\x00"))
}

func number(root fs.FS, name string) (float64, bool) {
	n, err := strconv.ParseInt(text(root, name), 10, 64)
	return float64(n), err == nil
}
