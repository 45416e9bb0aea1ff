package analytics

import (
	"testing"
	"time"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// A country is two letters or none: what else a router calls one is no text to show.
func TestCountriesAreCodes(t *testing.T) {
	now := time.Now()
	for said, want := range map[string]string{"de": "DE", "GB": "GB", "": "", "deu": "", "\"<": "", "\x00\x00": "", "é": "", "D1": "", "=1": ""} {
		d := decode(&stamp{retention: 7}, batch("e", 1, flow(now, func(e *ngfwv1.FlowEvent) { e.Geo = said })), now)
		if len(d.rows) != 1 || d.rows[0].geo != want {
			t.Errorf("%q: %v", said, d.rows)
		}
	}
}
