package system

import (
	"context"
	"maps"
	"net/netip"
	"time"

	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// snapshot is a report as it was at one moment. Its messages are the reader's
// own.
type snapshot struct {
	online       bool
	connectedAt  time.Time
	lastSeen     time.Time
	agentVersion string
	firmware     string
	status       *ngfwv1.SystemStatus
	hardware     *ngfwv1.Hardware
	newer        *ngfwv1.Metrics // nil: status is the newest
	config       outcome
	lacking      []*ngfwv1.SectionLack
}

func (r *Reports) snapshot(ctx context.Context, deviceID string) (s snapshot, err error) {
	err = r.with(ctx, deviceID, func(d *report) {
		s = snapshot{
			online: d.connections > 0, connectedAt: d.connectedAt, lastSeen: d.lastSeen,
			agentVersion: d.agentVersion, firmware: d.firmware,
			status: d.status, hardware: d.hardware, config: d.config.clone(), lacking: d.last.GetDataplane().GetLacking(),
		}
		if d.last != nil && !d.metricsAt.Before(d.statusAt) {
			s.newer = d.last
		}
	})
	s.status, s.hardware = proto.CloneOf(s.status), proto.CloneOf(s.hardware)
	return s, err
}

// current is the status with what newer metrics say.
func (s snapshot) current() *ngfwv1.SystemStatus {
	out := s.status
	if s.newer == nil || out == nil {
		return out
	}
	out.Cpu, out.Memory = s.newer.GetCpu(), s.newer.GetMemory()
	if s.newer.Temperature != nil {
		out.Temperature = proto.Int32(s.newer.GetTemperature())
	}
	if s.newer.Connections != nil {
		out.Connections = s.newer.GetConnections().GetTotal()
	}
	for _, i := range out.GetInterfaces() {
		if rates, ok := s.newer.GetInterfaces()[i.GetName()]; ok {
			i.RxRate, i.TxRate = rates.GetRxRate(), rates.GetTxRate()
		}
	}
	return out
}

// state is the device's status word.
func (s snapshot) state() string {
	switch {
	case s.online:
		return "online"
	case s.lastSeen.IsZero():
		return "provisioning"
	}
	return "offline"
}

func unixOrNil(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return proto.Int64(t.Unix())
}

// Presence says what a device's list entry shows of its reports: status, last
// seen, model, serial and firmware; nothing else of the message is set.
func (r *Reports) Presence(ctx context.Context, deviceID string) (*ngfwv1.Device, error) {
	s, err := r.snapshot(ctx, deviceID)
	if err != nil {
		return nil, err
	}
	return &ngfwv1.Device{
		Status: s.state(), LastSeen: unixOrNil(s.lastSeen), FirmwareVersion: s.firmware,
		Model: s.hardware.GetModel(), Serial: s.hardware.GetSerial(),
	}, nil
}

// DeviceStatus says how a device is doing with the configuration version that
// it should have; id and mode are left to the caller.
func (r *Reports) DeviceStatus(ctx context.Context, deviceID string, wanted int64) (*ngfwv1.DeviceStatus, error) {
	s, err := r.snapshot(ctx, deviceID)
	if err != nil {
		return nil, err
	}
	out := &ngfwv1.DeviceStatus{
		Status: s.state(), LastSeen: unixOrNil(s.lastSeen),
		Config: s.config.state(wanted, s.lacking), System: s.current(),
	}
	if s.online {
		out.ConnectedAt = unixOrNil(s.connectedAt)
	}
	if s.agentVersion != "" {
		out.AgentVersion = proto.String(s.agentVersion)
	}
	return out, nil
}

// RuleCounters are the true counts of every rule that ever counted.
func (r *Reports) RuleCounters(ctx context.Context, deviceID string) (out map[int64]*ngfwv1.RuleCounter, err error) {
	err = r.with(ctx, deviceID, func(d *report) { out = d.ruleCounters(ofRules) })
	return out, err
}

// NATCounters are the true counts of every NAT rule that ever counted.
func (r *Reports) NATCounters(ctx context.Context, deviceID string) (out map[int64]*ngfwv1.RuleCounter, err error) {
	err = r.with(ctx, deviceID, func(d *report) { out = d.ruleCounters(ofNAT) })
	return out, err
}

// LoadedRules are the rules of the router's matcher that are in force, by category,
// as it last reported them.
func (r *Reports) LoadedRules(ctx context.Context, deviceID string) (out map[string]int64, err error) {
	err = r.with(ctx, deviceID, func(d *report) { out = maps.Clone(d.last.GetDataplane().GetIdsRules()) })
	return out, err
}

// QoSCounters are what has passed the router's queues as it last reported it.
func (r *Reports) QoSCounters(ctx context.Context, deviceID string) (out []*ngfwv1.QosCounter, err error) {
	// The messages are never changed, so they need no copy.
	err = r.with(ctx, deviceID, func(d *report) { out = d.last.GetQos() })
	return out, err
}

// KnowsCountries says whether the router has a database of countries; nil: it has not
// said.
func (r *Reports) KnowsCountries(ctx context.Context, deviceID string) (out *bool, err error) {
	err = r.with(ctx, deviceID, func(d *report) {
		if d.last.GetDataplane() != nil && d.last.Dataplane.Countries != nil {
			out = proto.Bool(d.last.Dataplane.GetCountries())
		}
	})
	return out, err
}

// OwnAddresses are the router's addresses as it last reported them: of each
// interface one of IPv4 and one of IPv6. None are known of a router that never
// reported.
func (r *Reports) OwnAddresses(ctx context.Context, deviceID string) ([]netip.Addr, error) {
	s, err := r.snapshot(ctx, deviceID)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, i := range s.status.GetInterfaces() {
		for _, text := range []string{i.GetIp(), i.GetIp6()} {
			if prefix, err := netip.ParsePrefix(text); err == nil && !prefix.Addr().IsLoopback() {
				out = append(out, prefix.Addr().Unmap().WithZone(""))
			}
		}
	}
	return out, nil
}
