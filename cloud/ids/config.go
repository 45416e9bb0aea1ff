package ids

import (
	"maps"

	"ngfw.sh/config/ids"
	"ngfw.sh/internal/fault"
	"ngfw.sh/internal/optional"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func showConfig(d ids.Document) *ngfwv1.IDSConfig {
	mode := string(d.Mode)
	out := &ngfwv1.IDSConfig{
		Enabled: d.Enabled, Mode: &mode, Interfaces: d.Interfaces, HomeNetworks: d.HomeNetworks, ExternalNetworks: d.ExternalNetworks,
		ExcludedNetworks: d.ExcludedNetworks, Variables: d.Variables, UpdateInterval: &d.UpdateInterval,
		AlertThreshold: d.AlertThreshold, FailOpen: &d.FailOpen,
	}
	for _, s := range d.Sources {
		out.Sources = append(out.Sources, &ngfwv1.IDSSource{
			Name: s.Name, Url: optional.Of(s.URL), File: optional.Of(s.File), Sha256: optional.Of(s.SHA256), Enabled: &s.Enabled,
		})
	}
	return out
}

// readConfig replaces the part of the section that the request holds; what it leaves out has
// its default.
func readConfig(m *ngfwv1.IDSConfig, d *ids.Document) error {
	if m == nil {
		return fault.New(fault.BadRequest, "the body is required")
	}
	fresh := ids.Default()
	fresh.Categories, fresh.Rules, fresh.Suppressions = d.Categories, d.Rules, d.Suppressions
	fresh.Enabled, fresh.AlertThreshold = m.GetEnabled(), m.GetAlertThreshold()
	if m.Mode != nil {
		mode, ok := ids.ParseMode(m.GetMode())
		if !ok {
			return fault.Invalid("mode", "must be detect or prevent, not %q", m.GetMode())
		}
		fresh.Mode = mode
	}
	if m.UpdateInterval != nil {
		fresh.UpdateInterval = m.GetUpdateInterval()
	}
	if m.FailOpen != nil {
		fresh.FailOpen = m.GetFailOpen()
	}
	fresh.Interfaces = append(fresh.Interfaces, m.GetInterfaces()...)
	fresh.HomeNetworks = append(fresh.HomeNetworks, m.GetHomeNetworks()...)
	fresh.ExternalNetworks = append(fresh.ExternalNetworks, m.GetExternalNetworks()...)
	fresh.ExcludedNetworks = append(fresh.ExcludedNetworks, m.GetExcludedNetworks()...)
	maps.Copy(fresh.Variables, m.GetVariables())
	for _, s := range m.GetSources() {
		fresh.Sources = append(fresh.Sources, ids.Source{
			Name: s.GetName(), URL: s.GetUrl(), File: s.GetFile(), SHA256: s.GetSha256(), Enabled: s.Enabled == nil || s.GetEnabled(),
		})
	}
	*d = fresh
	return nil
}
