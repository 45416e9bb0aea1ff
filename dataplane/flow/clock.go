package flow

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootNanos is the boot clock (CLOCK_BOOTTIME), which the programs stamp with.
func bootNanos() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("no boot clock: " + err.Error()) // Linux has had it since 2.6.39
	}
	return ts.Nano()
}

// BootClock is what the programs stamp with now, in ns.
func BootClock() uint64 { return uint64(bootNanos()) }

// BootTime is when the boot clock was 0, by the wall clock as it is set now.
func BootTime() time.Time { return time.Now().Add(-time.Duration(bootNanos())) }

// WallClock turns a stamp of the programs into a time of day. A step of the
// wall clock moves it too, so it is right again once the clock is set.
func WallClock(boot uint64) time.Time { return BootTime().Add(time.Duration(boot)) }
