package policy

import (
	"errors"
	"fmt"
	"time"

	_ "time/tzdata" // routers without the system's time zone database
)

// parseMinute reads "HH:MM" as minutes since midnight.
func parseMinute(s string) (int, error) {
	bad := fmt.Errorf("%q is no time of day: write HH:MM from 00:00 to 23:59", s)
	if len(s) != 5 || s[2] != ':' {
		return 0, bad
	}
	for _, i := range []int{0, 1, 3, 4} {
		if s[i] < '0' || s[i] > '9' {
			return 0, bad
		}
	}
	hour, minute := int(s[0]-'0')*10+int(s[1]-'0'), int(s[3]-'0')*10+int(s[4]-'0')
	if hour > 23 || minute > 59 {
		return 0, bad
	}
	return hour*60 + minute, nil
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
