package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones are judged the same on every machine
	"unicode"
	"unicode/utf8"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// What the agent does with its configuration.
const (
	modeObserve  = "observe"
	modeShadow   = "shadow"
	modeTakeover = "takeover"
)

// UpdateDevice replaces what a user may say of a device. A mode left out stays
// as it is: forgetting it must not start or stop enforcement.
func (s *Service) UpdateDevice(ctx context.Context, req *ngfwv1.UpdateDeviceRequest) (*ngfwv1.Device, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	var old, now store.Device
	err = s.deps.Store.UpdateDevice(ctx, req.GetId(), func(d store.Device) (store.DeviceUpdate, error) {
		if err := ownedBy(c, d); err != nil {
			return store.DeviceUpdate{}, err
		}
		old, now = d, replaced(d, req.GetDevice())
		if err := validate(now); err != nil {
			return store.DeviceUpdate{}, err
		}
		if err := etag.Check(ctx, etag.Of(auditForm(old))); err != nil {
			return store.DeviceUpdate{}, err
		}
		entry := store.AuditBy(c, "update", "device", d.ID)
		entry.DeviceID = d.ID
		entry.Changes = store.Changes{Summary: "device " + now.Name + " changed", Before: auditForm(old), After: auditForm(now)}
		return store.DeviceUpdate{Device: now, Rewrite: s.deps.Configuration.TimeZone(now.TimeZone), Audit: entry}, nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, noSuchDevice(err)
	}
	if err != nil {
		return nil, err
	}
	if now.Mode != old.Mode || now.TimeZone != old.TimeZone {
		s.deps.Links.Wanted(now.ID)
	}
	etag.Tell(ctx, auditForm(now))
	return s.show(ctx, now)
}

// replaced is d with what a PUT says of it.
func replaced(d store.Device, in *ngfwv1.Device) store.Device {
	if in == nil {
		in = &ngfwv1.Device{}
	}
	d.Name, d.Tags, d.Location, d.Notes, d.TimeZone = in.GetName(), in.GetTags(), in.Location, in.Notes, in.GetTimeZone()
	if in.GetMode() != "" {
		d.Mode = in.GetMode()
	}
	if d.TimeZone == "" {
		d.TimeZone = "UTC"
	}
	return d
}

// show joins what is registered with what the router reports.
func (s *Service) show(ctx context.Context, d store.Device) (*ngfwv1.Device, error) {
	m, err := s.deps.Reports.Presence(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	m.Id, m.Name, m.CreatedAt, m.Mode, m.TimeZone = d.ID, d.Name, d.CreatedAt, d.Mode, d.TimeZone
	m.Tags, m.Location, m.Notes = d.Tags, d.Location, d.Notes
	if d.Model != "" { // what was said at registration goes before what the board says of itself
		m.Model = d.Model
	}
	return m, nil
}

// auditForm is what is registered of a device, as the audit log keeps it; it is the
// state that writes may be meant for, too.
func auditForm(d store.Device) map[string]any {
	return map[string]any{
		"name": d.Name, "model": d.Model, "tags": append([]string{}, d.Tags...), "location": d.Location,
		"notes": d.Notes, "mode": d.Mode, "time_zone": d.TimeZone,
	}
}

// validate judges what a user says of a device and names all that is wrong.
func validate(d store.Device) error {
	var wrong []fault.Field
	add := func(path, format string, args ...any) {
		wrong = append(wrong, fault.Field{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	text := func(path, s string, most int) {
		switch n := utf8.RuneCountInString(s); {
		case n > most:
			add(path, "must be at most %d characters, not %d", most, n)
		case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
			add(path, "must not hold control characters")
		}
	}
	if strings.TrimSpace(d.Name) == "" {
		add("name", "is required: 1 to 255 characters")
	}
	text("name", d.Name, 255)
	text("model", d.Model, 255)
	if len(d.Tags) > 64 {
		add("tags", "must be at most 64, not %d", len(d.Tags))
	}
	for i, tag := range d.Tags {
		path := fmt.Sprintf("tags[%d]", i)
		text(path, tag, 64)
		switch {
		case strings.TrimSpace(tag) == "":
			add(path, "must not be empty")
		case slices.Contains(d.Tags[:i], tag):
			add(path, "%q is listed twice", tag)
		}
	}
	if d.Location != nil {
		text("location", *d.Location, 255)
	}
	if d.Notes != nil {
		text("notes", *d.Notes, 4096)
	}
	if !slices.Contains([]string{modeObserve, modeShadow, modeTakeover}, d.Mode) {
		add("mode", "%q is not one of observe, shadow, takeover", d.Mode)
	}
	// LoadLocation takes "" and "Local" too, which are the cloud's, not the router's.
	if _, err := time.LoadLocation(d.TimeZone); err != nil || d.TimeZone == "" || d.TimeZone == "Local" {
		add("time_zone", "%q is not an IANA time zone such as Europe/Berlin", d.TimeZone)
	}
	if len(wrong) > 0 {
		return fault.InvalidFields(wrong...)
	}
	return nil
}
