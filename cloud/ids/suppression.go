package ids

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/config/ids"
	"ngfw.sh/internal/optional"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func suppressionMembers(s *resource.Section[ids.Document]) resource.Members[ids.Document, ids.Suppression] {
	return resource.Members[ids.Document, ids.Suppression]{
		Section: s, Kind: "suppression", Field: "suppressions",
		List:  func(d *ids.Document) *[]ids.Suppression { return &d.Suppressions },
		ID:    func(x *ids.Suppression) *int64 { return &x.ID },
		Label: func(x ids.Suppression) string { return fmt.Sprintf("%d:%d", x.GID, x.SID) },
	}
}

// ListIDSSuppressions lists the suppressions.
func (s *Service) ListIDSSuppressions(ctx context.Context, req *ngfwv1.ListIDSSuppressionsRequest) (*ngfwv1.ListIDSSuppressionsResponse, error) {
	_, d, err := s.read(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	etag.Tell(ctx, d.Suppressions)
	out := &ngfwv1.ListIDSSuppressionsResponse{}
	for _, x := range d.Suppressions {
		out.Suppressions = append(out.Suppressions, showSuppression(x))
	}
	return out, nil
}

// CreateIDSSuppression adds one.
func (s *Service) CreateIDSSuppression(ctx context.Context, req *ngfwv1.CreateIDSSuppressionRequest) (*ngfwv1.IDSSuppression, error) {
	_, id, err := s.caller(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	m := req.GetSuppression()
	add := ids.Suppression{GID: 1, SID: m.GetSid(), Track: m.GetTrack(), IP: m.GetIp(), Reason: m.GetReason(), CreatedAt: s.deps.Now().Unix()}
	if m != nil && m.Gid != nil {
		add.GID = m.GetGid()
	}
	add, version, err := s.suppressions.Create(ctx, id, add, 0)
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, add)
	return showSuppression(add), nil
}

// DeleteIDSSuppression removes one.
func (s *Service) DeleteIDSSuppression(ctx context.Context, req *ngfwv1.DeleteIDSSuppressionRequest) (*emptypb.Empty, error) {
	_, id, err := s.caller(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	version, err := s.suppressions.Delete(ctx, id, req.GetId())
	if err != nil {
		return nil, err
	}
	tellVersion(ctx, version)
	return &emptypb.Empty{}, nil
}

func showSuppression(x ids.Suppression) *ngfwv1.IDSSuppression {
	return &ngfwv1.IDSSuppression{
		Id: x.ID, Gid: &x.GID, Sid: x.SID, Track: optional.Of(x.Track), Ip: optional.Of(x.IP), Reason: optional.Of(x.Reason), CreatedAt: x.CreatedAt,
	}
}
