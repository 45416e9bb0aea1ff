package shape

import (
	"fmt"
	"math"
	"net"
	"slices"

	config "ngfw.sh/config/qos"
	"ngfw.sh/dataplane/qos"
)

// convert says in the kernel's words what a valid document means.
func convert(d config.Document) (qos.Config, error) {
	c := qos.Config{Upload: bits(&d.UploadMbps), Download: bits(&d.DownloadMbps), Priority: config.DefaultPriority}
	switch d.Scheduler {
	case config.FQCoDel:
		c.Queue = qos.FQCoDel
	case config.HTB:
		c.Queue = qos.FIFO
	case config.Cake:
		c.Queue = qos.Cake
		o := config.DefaultCakeOptions()
		if d.CakeOptions != nil {
			o = *d.CakeOptions
		}
		c.Cake = qos.CakeOptions{Isolation: o.Isolation, RTT: uint32(o.RTTMs * 1000), NAT: o.NAT, ACKFilter: o.ACKFilter, Wash: o.Wash}
	}
	for _, class := range d.InOrder() {
		k := qos.Class{ID: class.ID, Name: class.Name, Priority: class.Priority, Guaranteed: bits(class.GuaranteedMbps), Max: bits(class.MaxMbps)}
		for _, p := range class.DSCPMarkings {
			k.Codepoints = append(k.Codepoints, uint8(p))
		}
		ports := slices.Clone(class.Ports)
		for _, name := range class.Applications {
			known, _ := config.ApplicationPorts(name)
			ports = append(ports, known...)
			for _, as := range config.FoundAs(name) {
				k.Apps = append(k.Apps, AppNumber(as))
			}
		}
		for _, p := range ports {
			r, err := p.Range()
			if err != nil {
				return c, fmt.Errorf("class %s: %w", class.Name, err)
			}
			k.Ports = append(k.Ports, qos.PortRange(r))
		}
		c.Classes = append(c.Classes, k)
	}
	for _, l := range d.DeviceLimits {
		mac, err := net.ParseMAC(l.MAC)
		if err != nil || len(mac) != 6 {
			return c, fmt.Errorf("limit of %s: no MAC address", l.MAC)
		}
		device := qos.Device{MAC: qos.MAC(mac), Upload: bits(l.UploadMbps), Download: bits(l.DownloadMbps), Priority: -1}
		if l.Priority != nil {
			device.Priority = *l.Priority
		}
		c.Devices = append(c.Devices, device)
	}
	return c, nil
}

func bits(mbps *float64) uint64 {
	if mbps == nil {
		return 0
	}
	return uint64(math.Round(*mbps * 1e6))
}

// found are the matcher's names of all applications; their places are their numbers.
var found = func() (names []string) {
	for _, name := range config.Applications() {
		names = append(names, config.FoundAs(name)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}()

// AppNumber is what the packet programs call an application that the matcher has
// found; 0: no class may name it.
func AppNumber(name string) uint8 {
	i, ok := slices.BinarySearch(found, name)
	if !ok {
		return 0
	}
	return uint8(i + 1)
}
