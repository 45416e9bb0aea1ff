package qos

import (
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/config/qos"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func classMembers(s *resource.Section[qos.Document]) resource.Members[qos.Document, qos.Class] {
	return resource.Members[qos.Document, qos.Class]{
		Section: s, Kind: "class", Noun: "traffic class", Field: "classes",
		List:  func(d *qos.Document) *[]qos.Class { return &d.Classes },
		ID:    func(c *qos.Class) *int64 { return &c.ID },
		Label: func(c qos.Class) string { return c.Name },
	}
}

// ListQoSClasses lists the classes with what has passed their queues.
func (s *Service) ListQoSClasses(ctx context.Context, req *ngfwv1.ListQoSClassesRequest) (*ngfwv1.ListQoSClassesResponse, error) {
	id, d, err := s.read(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	etag.Tell(ctx, d.Classes)
	list, err := s.show(ctx, id, d.Classes)
	return &ngfwv1.ListQoSClassesResponse{Classes: list}, err
}

// CreateQoSClass adds a class.
func (s *Service) CreateQoSClass(ctx context.Context, req *ngfwv1.CreateQoSClassRequest) (*ngfwv1.QoSClass, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	class, err := readClass(req.GetClass())
	if err != nil {
		return nil, err
	}
	class, version, err := s.classes.Create(ctx, id, class, 0)
	return s.answer(ctx, id, class, version, err)
}

// UpdateQoSClass replaces a class; its id and counts stay.
func (s *Service) UpdateQoSClass(ctx context.Context, req *ngfwv1.UpdateQoSClassRequest) (*ngfwv1.QoSClass, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	class, err := readClass(req.GetClass())
	if err != nil {
		return nil, err
	}
	class, version, err := s.classes.Update(ctx, id, req.GetId(), class)
	return s.answer(ctx, id, class, version, err)
}

// DeleteQoSClass removes a class: its traffic is that of no class from then on.
func (s *Service) DeleteQoSClass(ctx context.Context, req *ngfwv1.DeleteQoSClassRequest) (*emptypb.Empty, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	version, err := s.classes.Delete(ctx, id, req.GetId())
	if err != nil {
		return nil, err
	}
	tellVersion(ctx, version)
	return &emptypb.Empty{}, nil
}

// readClass names all that is missing or wrong by itself.
func readClass(m *ngfwv1.QoSClass) (qos.Class, error) {
	if m == nil {
		m = &ngfwv1.QoSClass{}
	}
	class, err := resource.FromMessage(m, qos.DecodeClass)
	if m.Priority == nil {
		missing := fault.Field{Path: "priority", Message: "is required: 0, which is served first, to 7"}
		if f, ok := fault.As(err); ok && f.Code == fault.InvalidConfig {
			return class, fault.InvalidFields(append(f.Fields, missing)...)
		}
		return class, fault.InvalidFields(missing)
	}
	return class, err
}

func (s *Service) answer(ctx context.Context, deviceID string, class qos.Class, version int64, err error) (*ngfwv1.QoSClass, error) {
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, class)
	list, err := s.show(ctx, deviceID, []qos.Class{class})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// show joins classes with what has passed their queues.
func (s *Service) show(ctx context.Context, deviceID string, classes []qos.Class) ([]*ngfwv1.QoSClass, error) {
	counters, err := s.deps.Counters.QoSCounters(ctx, deviceID)
	if err != nil {
		return nil, err
	}
	list := make([]*ngfwv1.QoSClass, len(classes))
	for i, c := range classes {
		list[i] = &ngfwv1.QoSClass{}
		if err := resource.ToMessage(c, list[i]); err != nil {
			return nil, err
		}
		list[i].Stats = sum(counters, c.ID)
	}
	return list, nil
}

// disciplines are from the poorest on; "" is unknown.
var disciplines = []string{"bfifo", "fq_codel", "cake"}

// poorer is the one of two disciplines that does less.
func poorer(a, b string) string {
	i, j := slices.Index(disciplines, a), slices.Index(disciplines, b)
	if a == "" || j >= 0 && j < i {
		return b
	}
	return a
}

// sum is a class's counters over uplinks and directions.
func sum(counters []*ngfwv1.QosCounter, class int64) *ngfwv1.QoSClassStats {
	out := &ngfwv1.QoSClassStats{}
	for _, c := range counters {
		if c.GetClassId() == class {
			out.Packets += c.GetPackets()
			out.Bytes += c.GetBytes()
			out.Dropped += c.GetDropped()
			out.Backlog += c.GetBacklog()
			out.Marked += c.GetMarked()
			out.Queue = poorer(out.Queue, c.GetQueue())
		}
	}
	return out
}
