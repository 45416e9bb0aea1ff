package telemetry

import (
	"time"
)

// sample is what the kernel said at one moment, with the rates since the
// sample before. It is never changed once it is published.
type sample struct {
	time        time.Time
	uptime      time.Duration
	cpu         cpuTimes
	cpuUsage    float64 // 0…1
	memory      memory
	load        [3]float64
	links       []Link
	rates       map[int]rate // by interface index
	connections int64
	maximum     int64 // entries that the connection table may hold, 0: unknown
	temperature *float64
	wanAddress  string
}

// rate is bytes per second.
type rate struct{ rx, tx int64 }

// take reads every source once and publishes the sample.
func (c *Collector) take() *sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := time.Now()
	last := c.newest.Load()
	s := &sample{time: c.deps.Now()}

	var err error
	s.uptime, err = readUptime(c.deps.Root)
	c.outcome("uptime", err)
	s.cpu, err = readCPUTimes(c.deps.Root)
	c.outcome("cpu", err)
	s.memory, err = readMemory(c.deps.Root)
	c.outcome("memory", err)
	s.load, err = readLoad(c.deps.Root)
	c.outcome("load", err)
	s.connections, s.maximum, err = readConntrack(c.deps.Root)
	c.outcome("conntrack", err)
	s.temperature = temperature(readSensors(c.deps.Root))
	if c.deps.Network != nil {
		links, err := c.deps.Network.Links()
		c.outcome("interfaces", err)
		if err == nil {
			s.links = links
		}
		s.wanAddress, err = c.wanAddress(s.links)
		c.outcome("routes", err)
	}
	s.compare(last)

	c.newest.Store(s)
	c.metrics.duration.Observe(time.Since(began).Seconds())
	return s
}

// compare fills what is a difference to the sample before. Without one, the cpu
// usage is the mean since boot and there are no rates.
func (s *sample) compare(last *sample) {
	if last == nil {
		s.cpuUsage = s.cpu.usageSince(cpuTimes{})
		return
	}
	s.cpuUsage = s.cpu.usageSince(last.cpu)
	elapsed := s.time.Sub(last.time).Seconds()
	if elapsed <= 0 {
		s.cpuUsage, s.rates = last.cpuUsage, last.rates
		return
	}
	before := make(map[int]Link, len(last.links))
	for _, l := range last.links {
		before[l.Index] = l
	}
	s.rates = make(map[int]rate, len(s.links))
	for _, l := range s.links {
		if b, ok := before[l.Index]; ok {
			s.rates[l.Index] = rate{
				rx: perSecond(b.Received.Bytes, l.Received.Bytes, elapsed),
				tx: perSecond(b.Sent.Bytes, l.Sent.Bytes, elapsed),
			}
		}
	}
}

// perSecond is 0 for a counter that went backwards: a driver's reset, or
// another interface with the old one's index.
func perSecond(before, now uint64, elapsed float64) int64 {
	if now < before {
		return 0
	}
	return int64(float64(now-before)/elapsed + 0.5)
}
