package openapi

import "testing"

func TestWordsKeepAbbreviations(t *testing.T) {
	for name, want := range map[string]string{
		"ListDevices": "List devices", "ListIDSRules": "List IDS rules", "ReadIDSConfig": "Read IDS config",
		"Alerts": "Alerts", "UpdateNAT": "Update NAT",
	} {
		if got := words(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
