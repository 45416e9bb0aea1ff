package policy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	_ "time/tzdata" // routers without the system's time zone database
)

// parseMinute reads "HH:MM" as minutes since midnight.
func parseMinute(s string) (int, error) {
	if hour, minute, ok := strings.Cut(s, ":"); ok && len(hour) == 2 && len(minute) == 2 && areDigits(hour+minute) {
		h, m := int(hour[0]-'0')*10+int(hour[1]-'0'), int(minute[0]-'0')*10+int(minute[1]-'0')
		if h < 24 && m < 60 {
			return h*60 + m, nil
		}
	}
	return 0, fmt.Errorf("%q is no time of day: write HH:MM from 00:00 to 23:59", s)
}

func areDigits(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < '0' || c > '9' })
}

// loadZone finds a time zone by its IANA name, "" being UTC. The rules come
// from the system where it has them, else from the copy in the binary.
func loadZone(name string) (*time.Location, error) {
	if name == "Local" { // means something else on every machine
		return nil, errors.New(`"Local" is no time zone: write an IANA name, as in Europe/Berlin`)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no known time zone: write an IANA name, as in Europe/Berlin", name)
	}
	return zone, nil
}
