package policytest

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"ngfw.sh/policy"
)

var timeZones = []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca"}

var macs = []policy.MAC{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, {2, 0, 0x5e, 0x10, 0, 1}, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff}}

var minutes = []string{"00:00", "00:01", "02:00", "02:30", "03:00", "06:00", "12:00", "22:00", "23:59"}

func schedule(t *rapid.T) policy.Schedule {
	return policy.Schedule{
		Enabled: true, Start: rapid.SampledFrom(minutes).Draw(t, "start"), End: rapid.SampledFrom(minutes).Draw(t, "end"),
		Days: rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 1, 7, rapid.ID).Draw(t, "days"),
	}
}

// Moments draws times at which schedules change, or nearly, most of them in weeks
// in which the zone changes its offset; and some at which there is no time.
func Moments(zone string) *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		at := rapid.SampledFrom([]int64{0, 1 << 20, 1<<20 - 1, 4102444799, 4102444800, -1, 1 << 40, 1_700_000_000})
		if rare(t, "odd", 4) {
			return time.Unix(at.Draw(t, "time"), 0)
		}
		where, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		moment := time.Unix(rapid.Int64Range(1_000_000, 4_102_444_799).Draw(t, "time"), 0).In(where)
		if _, change := moment.ZoneBounds(); !change.IsZero() && rapid.Bool().Draw(t, "near a change") {
			moment = change
		}
		var hour, minute int
		fmt.Sscanf(rapid.SampledFrom(minutes).Draw(t, "minute"), "%d:%d", &hour, &minute)
		day := moment.Day() + rapid.IntRange(-1, 1).Draw(t, "day")
		second := rapid.SampledFrom([]int{-1, 0, 0, 59, 60, 61, -3600, 3600, 1800}).Draw(t, "second")
		return time.Date(moment.Year(), moment.Month(), day, hour, minute, second, 0, where)
	})
}

func macItem(t *rapid.T) string { return "mac:" + rapid.SampledFrom(macs).Draw(t, "mac").String() }

func countryItem(t *rapid.T) string { return "geo:" + rapid.SampledFrom(countries).Draw(t, "country") }

// hasMAC says whether a frame may have a source address that some rule asks for.
func drawMAC(t *rapid.T) policy.MAC {
	if rapid.Bool().Draw(t, "no mac") {
		return policy.MAC{}
	}
	return rapid.SampledFrom(macs).Draw(t, "src_mac")
}

func macMember(t *rapid.T) string {
	text := macItem(t)
	if rapid.Bool().Draw(t, "bare") {
		text = strings.TrimPrefix(text, "mac:")
	}
	return text
}
