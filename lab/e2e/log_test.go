package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
)

// entry is a row of the traffic log.
type entry struct {
	ID              string
	FlowID          string `json:"flow_id"`
	DeviceID        string `json:"device_id"`
	Event           string
	Timestamp       float64
	Action          string
	Interface       string
	ZoneFrom        string `json:"zone_from"`
	ZoneTo          string `json:"zone_to"`
	Protocol        string
	SourceIP        string `json:"source_ip"`
	SourcePort      int    `json:"source_port"`
	DestinationIP   string `json:"destination_ip"`
	DestinationPort int    `json:"destination_port"`
	RuleID          int64  `json:"rule_id"`
	RuleName        string `json:"rule_name"`
	PolicyRevision  int64  `json:"policy_revision"`
	Bytes, Packets  int64
	BytesSent       int64 `json:"bytes_sent"`
	BytesReceived   int64 `json:"bytes_received"`
	Count           int64
	Reason          string
}

// rows reads the whole of what a filter finds, page by page.
func (c *client) rows(t testing.TB, filter url.Values) ([]entry, error) {
	t.Helper()
	var all []entry
	seen := map[string]bool{}
	filter.Set("limit", "500")
	filter.Del("cursor")
	for {
		a, err := c.try(t, "GET", "/api/traffic/logs?"+filter.Encode(), nil, nil)
		if err != nil {
			return nil, err
		}
		if a.status != http.StatusOK {
			return nil, fmt.Errorf("status %d: %s", a.status, a.body)
		}
		var page struct {
			Logs       []entry
			NextCursor string `json:"next_cursor"`
		}
		if err := json.Unmarshal(a.body, &page); err != nil {
			return nil, err
		}
		for _, e := range page.Logs {
			if seen[e.ID] {
				t.Errorf("the row %s comes twice", e.ID)
			}
			seen[e.ID] = true
			all = append(all, e)
		}
		if page.NextCursor == "" {
			return all, nil
		}
		filter.Set("cursor", page.NextCursor)
	}
}
