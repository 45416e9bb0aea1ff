package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestOffsets: the table says at every moment what package time says.
func TestOffsets(t *testing.T) {
	for _, name := range []string{
		"UTC", "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Sao_Paulo", "Africa/Casablanca", "Africa/Monrovia",
		"Africa/Cairo", "Australia/Lord_Howe", "Asia/Kathmandu", "Asia/Gaza", "Asia/Tehran", "Pacific/Apia", "Antarctica/Troll", "America/Scoresbysund",
	} {
		zone, err := loadZone(name)
		if err != nil {
			t.Fatal(err)
		}
		list, err := offsetsOf(zone)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		i := 0
		for at := int64(clockFirst); at <= clockLast; at += 6 * 3600 {
			for i+1 < len(list) && list[i+1].from <= at {
				i++
			}
			if _, ahead := time.Unix(at, 0).In(zone).Zone(); ahead != list[i].ahead {
				t.Fatalf("%s at %s: %d, package time says %d", name, time.Unix(at, 0).UTC(), list[i].ahead, ahead)
			}
		}
	}
}

// TestValidity: within a verdict's validity no window opens or closes, and it is
// not shorter than it need be but for changes of the zone's offset.
func TestValidity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone, err := loadZone(rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		var conditions []Condition
		for range rapid.IntRange(1, 3).Draw(t, "windows") {
			conditions = append(conditions, Condition{Scheduled: true, Window: Window{
				Start: rapid.Uint16Range(0, 1439).Draw(t, "start"), End: rapid.Uint16Range(0, 1439).Draw(t, "end"), Days: rapid.Uint8Range(1, 127).Draw(t, "days"),
			}})
		}
		im := &Image{}
		if err := im.writeClock(zone, conditions); err != nil {
			t.Fatal(err)
		}
		now := rapid.Int64Range(clockFirst, clockLast).Draw(t, "now")
		local, valid := im.Clock(now)
		at := time.Unix(now, 0).In(zone)
		if want := uint32(at.Weekday())*1440 + uint32(at.Hour())*60 + uint32(at.Minute()); local != want {
			t.Fatalf("minute %d at %s, want %d", local, at, want)
		}
		first, last := int64(uint32(valid)), int64(valid>>32)
		if first > now || now >= last {
			t.Fatalf("%d is not from %d to %d", now, first, last)
		}
		state := func(at int64) (s uint) {
			minute, _ := im.Clock(at)
			for i, c := range conditions {
				if c.Window.has(minute) {
					s |= 1 << i
				}
			}
			return s
		}
		for at := first; at < last; at = min(at+60, max(at+1, last-1)) {
			if state(at) != state(now) {
				t.Fatalf("at %d it is not as at %d, both from %d to %d", at, now, first, last)
			}
		}
	})
}
