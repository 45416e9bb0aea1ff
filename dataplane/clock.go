package dataplane

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Clock says what schedules believe of the time of day.
type Clock string

const (
	ClockKernel  Clock = "kernel"  // synchronised or not, as adjtimex(2) tells
	ClockTrusted Clock = "trusted" // always: where a hypervisor keeps it, say
)

// clockCheck is how often the kernel is asked. Steps of the clock need nobody:
// programs read the kernel's own.
const clockCheck = time.Second

// staUnsync is STA_UNSYNC of adjtimex(2): nothing has set the clock, or for so
// long that it may be wrong by more than 16 s.
const staUnsync = 0x40

// clockState is what the programs have to know about the kernel's clock.
type clockState struct {
	ahead int  // what TAI is ahead of UTC, seconds; 0 where nobody told the kernel
	set   bool // the time can be believed
}

func readClock() (clockState, error) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return clockState{}, fmt.Errorf("ask for the clock's state: %w", err)
	}
	return clockState{ahead: int(t.Tai), set: t.Status&staUnsync == 0}, nil
}

// checkClock tells the programs what has changed about the clock.
func (d *Dataplane) checkClock() error {
	s, err := readClock()
	if err != nil {
		return err
	}
	if d.cfg.Clock == ClockTrusted {
		s.set = true
	}
	return d.setClock(s)
}

func (d *Dataplane) setClock(s clockState) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.settings()
	if err != nil {
		return err
	}
	before := c
	c.TaiAhead, c.ClockSet = int16(s.ahead), 0
	if s.set {
		c.ClockSet = 1
	}
	d.clockUnset = !s.set
	if c == before {
		return nil
	}
	return d.putSettings(c)
}

// followClock asks for the clock until ctx ends.
func (d *Dataplane) followClock(ctx context.Context) {
	tick := time.NewTicker(clockCheck)
	defer tick.Stop()
	said := ""
	for {
		now := ""
		if err := d.checkClock(); err != nil {
			now = err.Error()
		}
		if now != "" && now != said {
			d.log.Error("schedules hold by what was known of the clock", "err", now)
		}
		said = now
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// clockLack is what status says of the clock; "" where nobody asks it. mu is held.
func (d *Dataplane) clockLack() string {
	if d.clockUnset && d.image != nil && d.image.OffsetCount > 0 {
		return "the clock is not synchronised: scheduled accepts do not match, scheduled drops and rejects do"
	}
	return ""
}
