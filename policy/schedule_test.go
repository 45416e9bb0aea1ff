package policy_test

import (
	"testing"
	"time"

	"ngfw.sh/policy"
)

func scheduled(t *testing.T, zone, start, end, days string, action policy.Action) policy.Policy {
	t.Helper()
	return decode(t, `{`+zonesJSON+`,"time_zone":"`+zone+`","rules":[{"id":1,"name":"n","zone_from":"LAN","zone_to":"WAN","action":"`+string(action)+`",
		"schedule":{"enabled":true,"start":"`+start+`","end":"`+end+`","days":`+days+`}}]}`)
}

func TestSchedule(t *testing.T) {
	const work = "[1,2,3,4,5]"
	for _, c := range []struct {
		name, zone, start, end, days string
		at                           string // UTC
		in                           bool
	}{
		// 2026-03-02 is a Monday.
		{"before", "UTC", "08:00", "17:00", work, "2026-03-02T07:59:59Z", false},
		{"first second", "UTC", "08:00", "17:00", work, "2026-03-02T08:00:00Z", true},
		{"the end's minute is in", "UTC", "08:00", "17:00", work, "2026-03-02T17:00:59Z", true},
		{"after", "UTC", "08:00", "17:00", work, "2026-03-02T17:01:00Z", false},
		{"another day", "UTC", "08:00", "17:00", work, "2026-03-01T12:00:00Z", false},
		{"one minute", "UTC", "08:00", "08:00", work, "2026-03-02T08:00:30Z", true},
		{"one minute, after", "UTC", "08:00", "08:00", work, "2026-03-02T08:01:00Z", false},
		{"no days are all", "UTC", "00:00", "23:59", "[]", "2026-03-01T23:59:59Z", true},
		{"null is every day", "UTC", "00:00", "23:59", "null", "2026-03-01T23:59:59Z", true},

		// Over midnight, from Monday to Tuesday.
		{"night, evening", "UTC", "22:00", "06:00", "[1]", "2026-03-02T22:00:00Z", true},
		{"night, before", "UTC", "22:00", "06:00", "[1]", "2026-03-02T21:59:59Z", false},
		{"night, last minute", "UTC", "22:00", "06:00", "[1]", "2026-03-03T06:00:59Z", true},
		{"night, after", "UTC", "22:00", "06:00", "[1]", "2026-03-03T06:01:00Z", false},
		{"night belongs to the day it starts on", "UTC", "22:00", "06:00", "[1]", "2026-03-02T03:00:00Z", false},
		{"Saturday's night ends on Sunday", "UTC", "22:00", "06:00", "[6]", "2026-03-01T03:00:00Z", true},

		// The router's zone: Berlin is an hour before UTC in winter.
		{"local time", "Europe/Berlin", "08:00", "17:00", work, "2026-03-02T07:00:00Z", true},
		{"local time, after", "Europe/Berlin", "08:00", "17:00", work, "2026-03-02T16:01:00Z", false},
		{"local day", "Pacific/Auckland", "00:00", "06:00", "[1]", "2026-03-01T12:00:00Z", true},

		// 2026-03-29, 02:00 becomes 03:00 in Berlin: the skipped minutes never come.
		{"spring, in before the gap", "Europe/Berlin", "01:30", "02:30", "[0]", "2026-03-29T00:59:59Z", true},
		{"spring, after the gap", "Europe/Berlin", "01:30", "02:30", "[0]", "2026-03-29T01:00:00Z", false},
		{"spring, inside the gap alone", "Europe/Berlin", "02:10", "02:20", "[0]", "2026-03-29T01:15:00Z", false},
		{"spring, over the gap", "Europe/Berlin", "01:30", "03:30", "[0]", "2026-03-29T01:30:59Z", true},
		{"summer", "Europe/Berlin", "08:00", "17:00", work, "2026-03-30T06:00:00Z", true},
		// 2026-10-25, 03:00 becomes 02:00: the repeated minutes come twice.
		{"autumn, first time", "Europe/Berlin", "02:10", "02:20", "[0]", "2026-10-25T00:15:00Z", true},
		{"autumn, second time", "Europe/Berlin", "02:10", "02:20", "[0]", "2026-10-25T01:15:00Z", true},
		{"autumn, between", "Europe/Berlin", "02:10", "02:20", "[0]", "2026-10-25T00:30:00Z", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, c.at)
			if err != nil {
				t.Fatal(err)
			}
			want := "drop default"
			if c.in {
				want = "accept rule 1"
			}
			p := scheduled(t, c.zone, c.start, c.end, c.days, policy.Accept)
			packet := with(tcp(host4, far4, 80), func(p *policy.Packet) { p.Time = at })
			if got := judged(t, p, policy.Env{}, packet); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

func TestScheduleWithoutClock(t *testing.T) {
	env := policy.Env{ClockUnsynchronised: true}
	inside, outside := tcp(host4, far4, 80), tcp(host4, far4, 80)
	outside.Time = outside.Time.Add(12 * time.Hour)
	for _, packet := range []policy.Packet{inside, outside} {
		for action, want := range map[policy.Action]string{
			policy.Accept: "drop default", policy.Drop: "drop rule 1", policy.Reject: "reject rule 1",
		} {
			p := scheduled(t, "UTC", "08:00", "17:00", "[1]", action)
			if got := judged(t, p, env, packet); got != want {
				t.Errorf("%s at %s: %s, want %s", action, packet.Time, got, want)
			}
		}
	}
}
