package agent

import (
	"net"
	"slices"

	"ngfw.sh/agent/control"
	"ngfw.sh/agent/shape"
	"ngfw.sh/dataplane/qos"
)

// openShaping makes the section qos, which shapes nothing yet.
func (a *Agent) openShaping() {
	a.shape = shape.New(shape.DefaultConfig(a.cfg.Settings.StateDir), shape.Deps{
		Log: a.log, Kernel: qos.New(qos.Deps{Log: a.log, Programs: a.dataplane}), Ports: a.shapedPorts, Tell: a.dataplane.TellApp, Registerer: a.registry,
	})
}

// shapedPorts are the interfaces of zone WAN, and those of all other zones.
func (a *Agent) shapedPorts() qos.Ports {
	p := qos.Ports{Uplinks: a.firewall.WAN()}
	for _, port := range a.dataplane.Ports() {
		if port.Zone > 0 && !slices.Contains(p.Uplinks, port.Name) {
			p.Inside = append(p.Inside, port.Name)
		}
	}
	return p
}

// queues are what `ngfw-agent status` shows of them.
func (a *Agent) queues() []control.Queue {
	var out []control.Queue
	for _, st := range a.shape.Statistics() {
		q := control.Queue{
			Interface: st.Interface, Direction: "download", Class: st.Name, ClassID: st.ClassID, Priority: st.Priority,
			Rate: st.Rate, Ceil: st.Ceil, Packets: st.Packets, Bytes: st.Bytes, Dropped: st.Dropped, Backlog: st.Backlog, Queue: string(st.Queue), Marked: st.Marked,
		}
		if st.Upload {
			q.Direction = "upload"
		}
		if st.Device != (qos.MAC{}) {
			q.Device = net.HardwareAddr(st.Device[:]).String()
		}
		out = append(out, q)
	}
	return out
}
