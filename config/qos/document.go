// Package qos owns the section "qos" of a router's configuration: how fast its
// uplinks are, how they are shared among classes of traffic, and what single
// devices may take of them. Cloud and router read it through this package, so
// there is one meaning.
//
// Rates are in Mbit/s (10^6 bits a second) of whole frames as the kernel counts
// them. Upload is what leaves by an interface of the zone WAN, download what
// arrives by one; each such interface is an uplink of these rates. Traffic
// between other zones is not shaped.
//
// A packet belongs to the first class that it matches, classes of a lower
// priority number first, those of the same one in the order of the document. It
// matches a class if its DSCP is one of the class's markings, or its flow's
// destination port one of its ports, or its flow's application one of its
// applications. What matches none has the priority of its device's limit, else
// DefaultPriority.
//
// It is pure: no I/O, no clock.
package qos

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"ngfw.sh/internal/fault"
)

// Document is the section. A decoded one has every default filled in, and MAC
// addresses in their usual form.
type Document struct {
	Enabled      bool          `json:"enabled"`
	UploadMbps   float64       `json:"upload_mbps"`
	DownloadMbps float64       `json:"download_mbps"`
	Scheduler    Scheduler     `json:"scheduler"`
	CakeOptions  *CakeOptions  `json:"cake_options,omitempty"` // with scheduler cake alone
	Classes      []Class       `json:"classes"`
	DeviceLimits []DeviceLimit `json:"device_limits"`
}

// Scheduler is what queues the packets of a class. Rates, guarantees and
// priorities are HTB's with each of them.
type Scheduler string

const (
	FQCoDel Scheduler = "fq_codel" // fair among flows, short queues
	HTB     Scheduler = "htb"      // plain queues: first in, first out
	Cake    Scheduler = "cake"     // fair among hosts too, if asked for
)

// CakeOptions are those of cake that mean something in a class's queue.
type CakeOptions struct {
	// Isolation is what packets are told apart by: triple-isolate (hosts, then their
	// flows), dual-srchost, dual-dsthost, hosts, flows.
	Isolation string `json:"isolation"`
	RTTMs     int64  `json:"rtt_ms"`     // 1 to 1000
	NAT       bool   `json:"nat"`        // hosts are those behind address translation
	ACKFilter bool   `json:"ack_filter"` // drops acknowledgements that a later one in the queue covers
	Wash      bool   `json:"wash"`       // clears DSCP
}

// DefaultCakeOptions are those of a section that names none.
func DefaultCakeOptions() CakeOptions {
	return CakeOptions{Isolation: "triple-isolate", RTTMs: 100, NAT: true}
}

// UnmarshalJSON fills in defaults.
func (o *CakeOptions) UnmarshalJSON(data []byte) error {
	type plain CakeOptions
	p := plain(DefaultCakeOptions())
	if err := strict(data, &p); err != nil {
		return err
	}
	*o = CakeOptions(p)
	return nil
}

// Class is a kind of traffic, in both directions.
type Class struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Priority int    `json:"priority"` // 0 to 7; a lower one is served first with what guarantees leave over
	// GuaranteedMbps is what the class gets if it wants it, MaxMbps what it gets at
	// most; both in each direction.
	GuaranteedMbps *float64 `json:"guaranteed_mbps,omitempty"`
	MaxMbps        *float64 `json:"max_mbps,omitempty"`
	Applications   []string `json:"applications"`
	DSCPMarkings   []DSCP   `json:"dscp_markings"`
	Ports          []Port   `json:"ports"`
}

// UnmarshalJSON makes lists that are left out empty ones.
func (c *Class) UnmarshalJSON(data []byte) error {
	type plain Class
	p := plain{Applications: []string{}, DSCPMarkings: []DSCP{}, Ports: []Port{}}
	if err := strict(data, &p); err != nil {
		return err
	}
	*c = Class(p)
	return nil
}

// DeviceLimit is of one device of the own networks, by the MAC address that its
// frames have here. It says at least one of the three.
type DeviceLimit struct {
	MAC          string   `json:"mac"`
	Hostname     string   `json:"hostname,omitempty"`
	UploadMbps   *float64 `json:"upload_mbps,omitempty"`
	DownloadMbps *float64 `json:"download_mbps,omitempty"`
	Priority     *int     `json:"priority,omitempty"` // of its traffic that no class matches
}

// DefaultPriority is that of what no class matches, where no device limit says
// another one.
const DefaultPriority = 4

// Default is the section of a new router: nothing is shaped.
func Default() Document {
	return Document{Scheduler: FQCoDel, Classes: []Class{}, DeviceLimits: []DeviceLimit{}}
}

// Decode reads a stored section, strictly.
func Decode(data []byte) (Document, error) {
	doc := Default()
	if err := strict(data, &doc); err != nil {
		return doc, malformed(err)
	}
	if doc.Classes == nil {
		doc.Classes = []Class{}
	}
	if doc.DeviceLimits == nil {
		doc.DeviceLimits = []DeviceLimit{}
	}
	for i := range doc.DeviceLimits {
		l := &doc.DeviceLimits[i]
		if mac, err := NormalizeMAC(l.MAC); err == nil {
			l.MAC = mac
		}
	}
	return doc, Validate(doc)
}

// InOrder are the classes in the order in which packets are compared with them.
func (d Document) InOrder() []Class {
	out := slices.Clone(d.Classes)
	slices.SortStableFunc(out, func(a, b Class) int { return a.Priority - b.Priority })
	return out
}

func strict(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("goes on after its end")
	}
	return nil
}

func malformed(err error) error {
	var wrong *json.UnmarshalTypeError
	var value *valueError
	switch {
	case errors.As(err, &value):
		return fault.Invalid(value.path, "%s", value.text).Because(err)
	case errors.As(err, &wrong):
		return fault.Invalid(wrong.Field, "must not be a %s", wrong.Value).Because(err)
	}
	if name, found := strings.CutPrefix(err.Error(), `json: unknown field "`); found {
		return fault.Invalid(strings.TrimSuffix(name, `"`), "is not a field that exists here")
	}
	return fault.New(fault.BadRequest, "the section qos is no JSON object").Because(err)
}
