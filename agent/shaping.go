package agent

import (
	"fmt"
	"net"
	"os"
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

// shapeFile shapes by the section in a file, if one is named. It is not stored.
func (a *Agent) shapeFile(version int64) error {
	if a.cfg.QoSFile == "" {
		return nil
	}
	doc, err := os.ReadFile(a.cfg.QoSFile)
	if err != nil {
		return fmt.Errorf("read the section qos: %w", err)
	}
	if err := a.shape.Resume(version, doc); err != nil {
		return fmt.Errorf("%s: %w", a.cfg.QoSFile, err)
	}
	return nil
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
