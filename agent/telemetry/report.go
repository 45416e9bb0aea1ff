package telemetry

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const mebibyte = 1 << 20

// Status is the specification's status payload.
func (c *Collector) Status(context.Context) *ngfwv1.SystemStatus {
	s := c.current()
	status := &ngfwv1.SystemStatus{
		Uptime:      int64(s.uptime.Seconds()),
		Cpu:         wholePercent(s.cpuUsage),
		Memory:      s.memory.percentUsed(),
		Temperature: degrees(s.temperature),
		Load:        slices.Clone(s.load[:]), // reports are the caller's, samples are not
		Connections: s.connections,
		WanIp:       present(s.wanAddress),
		Firmware:    c.cfg.Version,
		Interfaces:  make([]*ngfwv1.InterfaceStatus, len(s.links)),
	}
	for i, l := range s.links {
		status.Interfaces[i] = &ngfwv1.InterfaceStatus{
			Name:    l.Name,
			Status:  string(l.State),
			Mac:     present(l.MAC),
			Ip:      l.shown(true),
			Ip6:     l.shown(false),
			RxBytes: clampInt64(l.Received.Bytes),
			TxBytes: clampInt64(l.Sent.Bytes),
			RxRate:  s.rates[l.Index].rx,
			TxRate:  s.rates[l.Index].tx,
			Mtu:     int32(l.MTU),
		}
	}
	return status
}

// Metrics is the specification's metrics payload. The split of connections
// by protocol is up to Config.ConntrackInterval older than the total.
func (c *Collector) Metrics(context.Context) *ngfwv1.Metrics {
	s := c.current()
	m := &ngfwv1.Metrics{
		Timestamp:   s.time.Unix(),
		Cpu:         wholePercent(s.cpuUsage),
		Memory:      s.memory.percentUsed(),
		Temperature: degrees(s.temperature),
		Interfaces:  make(map[string]*ngfwv1.Metrics_Rates, len(s.links)),
		Connections: &ngfwv1.Metrics_Connections{Total: s.connections},
		Dns:         &ngfwv1.Metrics_Dns{},
	}
	for _, l := range s.links {
		r := s.rates[l.Index]
		m.Interfaces[l.Name] = &ngfwv1.Metrics_Rates{RxRate: r.rx, TxRate: r.tx}
	}
	if p := c.split.Load(); p != nil {
		m.Connections.Tcp, m.Connections.Udp = p.TCP, p.UDP
	}
	if c.deps.DNS != nil {
		if d := c.deps.DNS(); d != nil {
			m.Dns = d
		}
	}
	if c.deps.Dataplane != nil {
		m.Dataplane = c.deps.Dataplane()
	}
	if c.deps.NAT != nil {
		m.Nat = c.deps.NAT()
	}
	if c.deps.QoS != nil {
		m.Qos = c.deps.QoS()
	}
	if c.deps.Rules != nil {
		m.Rules = c.deps.Rules()
	}
	return m
}

// Hardware is the specification's hardware payload. It reads the machine anew
// (disks, drivers), so it is not for every second.
func (c *Collector) Hardware(context.Context) *ngfwv1.Hardware {
	s := c.current()
	p, err := readProcessor(c.deps.Root)
	c.report("processor", err)
	h := &ngfwv1.Hardware{
		Model:  strings.ToValidUTF8(machineModel(c.deps.Root), "?"),
		Serial: strings.ToValidUTF8(machineSerial(c.deps.Root), "?"),
		Cpu: &ngfwv1.Hardware_Cpu{
			Model: strings.ToValidUTF8(p.model, "?"), Cores: int32(p.cores), FrequencyMhz: int32(p.mhz), UsagePercent: wholePercent(s.cpuUsage),
		},
		Memory: &ngfwv1.Hardware_Memory{
			TotalMb: int64(s.memory.total / mebibyte), UsedMb: int64(s.memory.used() / mebibyte),
			FreeMb: int64(s.memory.available / mebibyte), PercentUsed: s.memory.percentUsed(),
		},
	}
	mounts, err := readMounts(c.deps.Root)
	c.report("mounts", err)
	var failed error
	for _, m := range mounts {
		space, err := c.deps.FreeSpace(m.point)
		failed = errors.Join(failed, err)
		if err != nil || space.Total == 0 {
			continue
		}
		h.Storage = append(h.Storage, &ngfwv1.Hardware_Storage{
			Device: strings.ToValidUTF8(m.device, "?"), MountPoint: strings.ToValidUTF8(m.point, "?"), Filesystem: m.filesystem,
			TotalMb: int64(space.Total / mebibyte), UsedMb: int64(space.Used() / mebibyte), PercentUsed: space.PercentUsed(),
		})
	}
	c.report("storage", failed)
	failed = nil
	for _, l := range s.links {
		ls, err := c.deps.Network.Settings(l.Name)
		if !errors.Is(err, unix.ENODEV) { // gone since the sample
			failed = errors.Join(failed, err)
		}
		i := &ngfwv1.Hardware_HardwareInterface{Name: l.Name, Driver: ls.Driver, Duplex: present(ls.Duplex), Link: l.Carrier}
		if ls.Speed > 0 {
			speed := int32(min(ls.Speed, math.MaxInt32))
			i.SpeedMbps = &speed
		}
		h.Interfaces = append(h.Interfaces, i)
	}
	c.report("drivers", failed)
	for _, t := range readSensors(c.deps.Root) {
		h.TemperatureSensors = append(h.TemperatureSensors, &ngfwv1.Hardware_TemperatureSensor{
			Name: strings.ToValidUTF8(t.name, "?"), TemperatureC: t.celsius, CriticalC: t.critical,
		})
	}
	for _, f := range readFans(c.deps.Root) {
		h.Fans = append(h.Fans, &ngfwv1.Hardware_Fan{Name: strings.ToValidUTF8(f.name, "?"), Rpm: int32(f.rpm), Percent: f.percent})
	}
	return h
}

func (c *Collector) report(source string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcome(source, err)
}

// shown is the address of a family in CIDR notation, nil without one.
func (l Link) shown(is4 bool) *string {
	a, ok := l.best(is4)
	if !ok {
		return nil
	}
	return present(a.Prefix.String())
}

func present(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func wholePercent(ratio float64) int32 { return int32(math.Round(100 * ratio)) }

func degrees(celsius *float64) *int32 {
	if celsius == nil {
		return nil
	}
	d := int32(math.Round(*celsius))
	return &d
}

// clampInt64 is for counters of the kernel, which are unsigned.
func clampInt64(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
