// Package ids owns the section "ids" of a router's configuration: what the
// matcher inspects, by which rules, and what happens to what it finds. Cloud and
// router read it through this package, so there is one meaning.
//
// It is pure: no I/O, no clock. Rules are parsed by package rule; fetching rule
// sets is the router's.
package ids

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"ngfw.sh/internal/fault"
)

// Document is the section. A decoded one has every default filled in.
type Document struct {
	Enabled bool `json:"enabled"`
	// Mode is what happens by default to what a rule finds: detect tells, prevent
	// also drops where the rule or its category says so.
	Mode Mode `json:"mode"`
	// Interfaces whose forwarded traffic is inspected; none: all.
	Interfaces []string `json:"interfaces"`

	// HomeNetworks and ExternalNetworks are HOME_NET and EXTERNAL_NET. None: the
	// private ranges, and all that is not home.
	HomeNetworks     []string `json:"home_networks"`
	ExternalNetworks []string `json:"external_networks"`
	// ExcludedNetworks are not inspected, whichever side of a flow they are on.
	ExcludedNetworks []string `json:"excluded_networks"`
	// Variables are further address and port variables of rules, such as HTTP_PORTS.
	Variables map[string]string `json:"variables"`

	Sources        []Source `json:"sources"`
	UpdateInterval int64    `json:"update_interval"` // seconds between fetches of the sources
	// AlertThreshold is how many alerts of one rule and source address a minute are
	// told; what is beyond is counted. 0: all.
	AlertThreshold int64 `json:"alert_threshold"`
	// FailOpen lets packets pass uninspected while the matcher is away or behind.
	FailOpen bool `json:"fail_open"`

	Categories   []Category    `json:"categories"` // every one, in the order of Catalogue
	Rules        []Rule        `json:"rules"`
	Suppressions []Suppression `json:"suppressions"`
}

// Mode is what happens to what is found.
type Mode string

const (
	Detect   Mode = "detect"
	Prevent  Mode = "prevent"
	Disabled Mode = "disabled" // of a category: its rules are not loaded
)

// ParseMode reads detect or prevent, or the names that Suricata's users know.
func ParseMode(s string) (Mode, bool) {
	switch s {
	case "detect", "ids":
		return Detect, true
	case "prevent", "ips":
		return Prevent, true
	}
	return "", false
}

// Default is the section of a new router: nothing is inspected.
func Default() Document {
	d := Document{
		Mode: Detect, UpdateInterval: 86400, FailOpen: true,
		Interfaces: []string{}, HomeNetworks: []string{}, ExternalNetworks: []string{}, ExcludedNetworks: []string{},
		Variables: map[string]string{}, Sources: []Source{}, Rules: []Rule{}, Suppressions: []Suppression{},
	}
	for _, c := range Catalogue {
		d.Categories = append(d.Categories, Category{ID: c.ID, Enabled: true, Mode: Detect})
	}
	return d
}

// Decode reads a stored section, strictly.
func Decode(data []byte) (Document, error) {
	doc := Default()
	doc.Categories = nil
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return doc, malformed(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return doc, fault.New(fault.BadRequest, "the section ids goes on after its end")
	}
	doc.Categories = complete(doc.Categories)
	return doc, Validate(doc)
}

func malformed(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fault.Invalid(wrong.Field, "must not be a %s", wrong.Value).Because(err)
	}
	if name, found := strings.CutPrefix(err.Error(), `json: unknown field "`); found {
		return fault.Invalid(strings.TrimSuffix(name, `"`), "is not a field that exists here")
	}
	return fault.New(fault.BadRequest, "the section ids is no JSON object").Because(err)
}
