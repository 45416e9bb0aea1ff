package agent

import (
	"context"
	"encoding/json"
	"errors"

	"ngfw.sh/internal/fault"
)

// handler is the link's way into the daemon.
type handler struct{ *Agent }

// sectionFirewall is the one section that this agent enforces so far; another
// is refused by name, never taken and ignored.
const sectionFirewall = "firewall"

func (h handler) ConfigPush(ctx context.Context, section string, version int64, doc []byte) error {
	if section != sectionFirewall {
		return fault.Invalid("section", "section %q is not enforced by this agent version", section)
	}
	if err := h.mode.allows(section); err != nil {
		return err
	}
	if err := h.confirm.Known(section, version, doc); err != nil {
		return err
	}
	trial, err := h.firewall.Try(ctx, version, doc)
	if trial == nil {
		return err
	}
	if err != nil || trial.First() {
		return errors.Join(err, trial.Keep())
	}
	return h.confirm.Settle(ctx, section, version, doc, trial)
}

// ConfigFull takes {"firewall":{…},…}.
func (h handler) ConfigFull(ctx context.Context, version int64, doc []byte) error {
	var sections map[string]json.RawMessage
	if err := json.Unmarshal(doc, &sections); err != nil {
		return fault.New(fault.BadRequest, "the configuration is not a JSON object of sections").Because(err)
	}
	for name := range sections {
		if name != sectionFirewall {
			return fault.Invalid(name, "section %q is not enforced by this agent version", name)
		}
	}
	body, ok := sections[sectionFirewall]
	if !ok {
		return nil
	}
	return h.ConfigPush(ctx, sectionFirewall, version, body)
}

func (h handler) Mode(_ context.Context, mode string, sections map[string]string) error {
	return h.mode.set(mode, sections)
}

func (h handler) Applied() map[string]int64 {
	if v := h.firewall.Version(); v > 0 {
		return map[string]int64{sectionFirewall: v}
	}
	return nil
}
