package telemetry

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
)

// unknown is shown for a model or serial number that the firmware does not tell.
const unknown = "unknown"

// machineModel asks the firmware (DMI on PCs, the device tree elsewhere), then
// what the architecture puts into cpuinfo.
func machineModel(root fs.FS) string {
	vendor := told(text(root, "sys/class/dmi/id/sys_vendor"))
	product := told(text(root, "sys/class/dmi/id/product_name"))
	if product == "" { // boards sold without a case
		vendor = told(text(root, "sys/class/dmi/id/board_vendor"))
		product = told(text(root, "sys/class/dmi/id/board_name"))
	}
	if product != "" && strings.HasPrefix(strings.ToLower(product), strings.ToLower(vendor)) {
		vendor = "" // "Supermicro Supermicro X11"
	}
	if product != "" {
		return strings.TrimSpace(vendor + " " + product)
	}
	info, _ := fs.ReadFile(root, "proc/cpuinfo")
	return cmp.Or(told(text(root, "proc/device-tree/model")), cpuField(info, "machine", "Model", "Hardware"), unknown)
}

func machineSerial(root fs.FS) string {
	for _, name := range []string{
		"sys/class/dmi/id/product_serial", "sys/class/dmi/id/board_serial", "sys/class/dmi/id/chassis_serial",
		"proc/device-tree/serial-number",
	} {
		if s := told(text(root, name)); s != "" {
			return s
		}
	}
	info, _ := fs.ReadFile(root, "proc/cpuinfo")
	if s := cpuField(info, "Serial"); strings.Trim(s, "0") != "" {
		return s
	}
	return unknown
}

// told drops the texts with which manufacturers fill what they leave empty.
func told(s string) string {
	switch strings.ToLower(strings.Trim(s, " .")) {
	case "", "to be filled by o.e.m", "default string", "system product name", "system manufacturer",
		"system serial number", "none", "not specified", "not applicable", "unknown", "o.e.m", "oem", "0", "0123456789", "123456789":
		return ""
	}
	return s
}

type processor struct {
	model string
	cores int // logical processors that are online
	mhz   int // highest, else current; 0 unknown
}

func readProcessor(root fs.FS) (processor, error) {
	b, err := fs.ReadFile(root, "proc/cpuinfo")
	if err != nil {
		return processor{model: unknown}, err
	}
	p := parseCPUInfo(b)
	if khz, ok := number(root, "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"); ok && khz > 0 {
		p.mhz = int(khz / 1000)
	}
	if p.cores == 0 {
		return p, fmt.Errorf("proc/cpuinfo: no processor")
	}
	return p, nil
}

// parseCPUInfo reads the formats of x86, arm, mips, riscv and power.
func parseCPUInfo(b []byte) processor {
	var p processor
	for line := range bytes.Lines(b) {
		k, v, ok := strings.Cut(string(line), ":")
		if _, err := strconv.ParseUint(strings.TrimSpace(v), 10, 16); ok && err == nil && strings.TrimSpace(k) == "processor" {
			p.cores++
		}
	}
	// arm32 writes "Processor", arm64 nothing but the numbers of maker and part.
	p.model = cmp.Or(cpuField(b, "model name", "cpu model", "Processor"), armCore(cpuField(b, "CPU implementer"), cpuField(b, "CPU part")),
		cpuField(b, "uarch", "cpu"), unknown)
	mhz, _, _ := strings.Cut(cpuField(b, "cpu MHz", "clock"), "MHz")
	if f, err := strconv.ParseFloat(mhz, 64); err == nil && f > 0 && f < math.MaxInt32 {
		p.mhz = int(math.Round(f))
	}
	return p
}

// cpuField is the value of the first of the names that is there.
func cpuField(info []byte, names ...string) string {
	for _, n := range names {
		if v, ok := field(info, n); ok && v != "" {
			return v
		}
	}
	return ""
}

// armCore names the cores that routers are built with (Arm's MIDR_EL1 values);
// others are shown by number.
func armCore(implementer, part string) string {
	if implementer == "" || part == "" {
		return ""
	}
	names := map[string]string{
		"0xc07": "Cortex-A7", "0xc09": "Cortex-A9", "0xc0f": "Cortex-A15", "0xd01": "Cortex-A32", "0xd03": "Cortex-A53",
		"0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72", "0xd09": "Cortex-A73",
		"0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1", "0xd0d": "Cortex-A77", "0xd40": "Neoverse-V1",
		"0xd41": "Cortex-A78", "0xd49": "Neoverse-N2",
	}
	if n := names[strings.ToLower(part)]; strings.ToLower(implementer) == "0x41" && n != "" {
		return "ARM " + n
	}
	return "implementer " + implementer + " part " + part
}
