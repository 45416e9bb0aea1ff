package ids

import (
	"context"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/config/ids"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// ListIDSCategories lists the categories with how many rules the router has
// loaded of each.
func (s *Service) ListIDSCategories(ctx context.Context, req *ngfwv1.ListIDSCategoriesRequest) (*ngfwv1.ListIDSCategoriesResponse, error) {
	id, d, err := s.read(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	counts, err := s.deps.Loaded.LoadedRules(ctx, id)
	if err != nil {
		return nil, err
	}
	etag.Tell(ctx, d.Categories)
	out := &ngfwv1.ListIDSCategoriesResponse{}
	for _, c := range d.Categories {
		out.Categories = append(out.Categories, showCategory(c, counts))
	}
	return out, nil
}

// UpdateIDSCategory switches a category. Mode disabled and enabled=false are the
// same; one of the two is enough.
func (s *Service) UpdateIDSCategory(ctx context.Context, req *ngfwv1.UpdateIDSCategoryRequest) (*ngfwv1.IDSCategory, error) {
	_, id, err := s.caller(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	if _, ok := ids.KindOf(req.GetId()); !ok {
		return nil, fault.New(fault.NotFound, "no category %q", req.GetId())
	}
	want, err := readCategory(req.GetId(), req.GetCategory())
	if err != nil {
		return nil, err
	}
	version, err := s.section.Change(ctx, id, func(d *resource.Draft[ids.Document]) error {
		for i := range d.Doc.Categories {
			if old := d.Doc.Categories[i]; old.ID == want.ID {
				d.Current(old, d.Doc.Categories)
				d.Doc.Categories[i] = want
				d.Note("update", "category", want.ID, "category "+want.ID+" set to "+string(want.Mode), old, want)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, want)
	counts, err := s.deps.Loaded.LoadedRules(ctx, id)
	return showCategory(want, counts), err
}

func readCategory(id string, m *ngfwv1.IDSCategory) (ids.Category, error) {
	c := ids.Category{ID: id, Enabled: true, Mode: ids.Detect}
	switch {
	case m == nil || m.Mode == nil && m.Enabled == nil:
		return c, fault.Invalid("mode", "is required: detect, prevent or disabled")
	case m.GetMode() == string(ids.Disabled):
		c.Enabled, c.Mode = false, ids.Disabled
	case m.Mode != nil:
		mode, ok := ids.ParseMode(m.GetMode())
		if !ok {
			return c, fault.Invalid("mode", "must be detect, prevent or disabled, not %q", m.GetMode())
		}
		c.Mode = mode
	}
	if m.Enabled == nil || m.GetEnabled() == c.Enabled {
		return c, nil
	}
	if m.GetEnabled() {
		return c, fault.Invalid("enabled", "does not go with mode disabled")
	}
	c.Enabled, c.Mode = false, ids.Disabled
	return c, nil
}

func showCategory(c ids.Category, counts map[string]int64) *ngfwv1.IDSCategory {
	kind, _ := ids.KindOf(c.ID)
	mode := string(c.Mode)
	return &ngfwv1.IDSCategory{
		Id: c.ID, Name: kind.Name, Description: kind.Description, Enabled: &c.Enabled, Mode: &mode, RuleCount: counts[c.ID],
	}
}
