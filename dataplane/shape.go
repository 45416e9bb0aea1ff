package dataplane

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/dataplane/qos"
)

// As in bpf/abi/qos.h and abi.h.
const (
	qosUplink = 1
	qosInside = 2

	// MarkClass has the bits of a packet's class.
	MarkClass = 0x001f0000
)

// shaping are the programs that HTB asks.
type shaping struct {
	Link     *ebpf.Program `ebpf:"ngfw_qos_link"`
	Upload   *ebpf.Program `ebpf:"ngfw_qos_upload"`
	Download *ebpf.Program `ebpf:"ngfw_qos_download"`
}

func (s *shaping) close() error {
	var errs []error
	for _, p := range []*ebpf.Program{s.Link, s.Upload, s.Download} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// QoSFilter is the file descriptor of a program for HTB. It is the data plane's.
func (d *Dataplane) QoSFilter(f qos.Filter) int {
	return map[qos.Filter]*ebpf.Program{
		qos.FilterLink: d.shape.Link, qos.FilterUpload: d.shape.Upload, qos.FilterDownload: d.shape.Download,
	}[f].FD()
}

// QoS is the number of the table by which packets get their class; -1: none, and
// nothing is shaped.
func (d *Dataplane) QoS() (int, error) {
	var state uint32
	if err := d.tc.QosState.Lookup(uint32(0), &state); err != nil {
		return -1, fmt.Errorf("read which table of classes is in force: %w", err)
	}
	return int(state) - 1, nil
}

// SetQoS puts a table into force, -1 for none. Flows that are shaped from here on
// leave the fast path.
func (d *Dataplane) SetQoS(slot int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.tc.QosState.Put(uint32(0), uint32(slot+1)); err != nil {
		return fmt.Errorf("put a table of classes into force: %w", err)
	}
	return d.endFastWays()
}

// SetQoSTable writes a table that is not in force.
func (d *Dataplane) SetQoSTable(slot int, t *qos.Table) error {
	table := bpfobj.TcQosTable{Codepoint: t.Codepoint, App: t.App, Rest: t.Rest, Port: t.Port}
	if t.UsesApps() {
		table.Apps = 1
	}
	if err := d.tc.QosTables.Put(uint32(slot), &table); err != nil {
		return fmt.Errorf("write a table of classes: %w", err)
	}
	old, err := d.qosDevices(slot)
	if err != nil {
		return err
	}
	for mac := range old {
		if _, ok := t.Devices[mac]; ok {
			continue
		}
		if err := d.tc.QosDevices.Delete(deviceKey(mac, slot)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget a device's limit: %w", err)
		}
	}
	for mac, e := range t.Devices {
		value := bpfobj.TcQosDevice{Rank: e.Rank, Upload: bit(e.Upload), Download: bit(e.Download), Number: e.Number}
		if err := d.tc.QosDevices.Put(deviceKey(mac, slot), value); err != nil {
			return fmt.Errorf("note a device's limit: %w", err)
		}
	}
	return nil
}

func deviceKey(mac qos.MAC, slot int) bpfobj.TcQosDeviceKey {
	return bpfobj.TcQosDeviceKey{Mac: mac, Slot: uint8(slot)}
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// QoSTable reads a table back.
func (d *Dataplane) QoSTable(slot int) (*qos.Table, error) {
	var table bpfobj.TcQosTable
	if err := d.tc.QosTables.Lookup(uint32(slot), &table); err != nil {
		return nil, fmt.Errorf("read a table of classes: %w", err)
	}
	devices, err := d.qosDevices(slot)
	if err != nil {
		return nil, err
	}
	return &qos.Table{Codepoint: table.Codepoint, App: table.App, Rest: table.Rest, Port: table.Port, Devices: devices}, nil
}

func (d *Dataplane) qosDevices(slot int) (map[qos.MAC]qos.Entry, error) {
	out := map[qos.MAC]qos.Entry{}
	var key bpfobj.TcQosDeviceKey
	var value bpfobj.TcQosDevice
	it := d.tc.QosDevices.Iterate()
	for it.Next(&key, &value) {
		if int(key.Slot) == slot {
			out[key.Mac] = qos.Entry{Rank: value.Rank, Upload: value.Upload != 0, Download: value.Download != 0, Number: value.Number}
		}
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read the limits of devices: %w", err)
	}
	return out, nil
}

// SetQoSLinks says which interfaces are uplinks, and what shapes what arrives.
func (d *Dataplane) SetQoSLinks(links map[int]qos.Link) error {
	var key uint32
	var value bpfobj.TcQosLink
	var gone []uint32
	it := d.tc.QosLinks.Iterate()
	for it.Next(&key, &value) {
		if _, ok := links[int(key)]; !ok {
			gone = append(gone, key)
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read the shaped interfaces: %w", err)
	}
	for _, k := range gone {
		if err := d.tc.QosLinks.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget a shaped interface: %w", err)
		}
	}
	for index, l := range links {
		value := bpfobj.TcQosLink{Kind: qosInside, Divert: uint32(l.Divert)}
		if l.Uplink {
			value.Kind = qosUplink
		}
		if err := d.tc.QosLinks.Put(uint32(index), value); err != nil {
			return fmt.Errorf("note a shaped interface: %w", err)
		}
	}
	return nil
}

// TellApp says what the matcher has found a flow to be, by a number of the table's.
// The flow is named as Tell does.
func (d *Dataplane) TellApp(client, server netip.AddrPort, protocol uint8, app uint8) (bool, error) {
	id, ok, err := d.forwarded(client, server, protocol)
	if err != nil || !ok {
		return false, err
	}
	if err := d.tc.QosApps.Put(id, uint32(app)); err != nil {
		return false, fmt.Errorf("tell the programs of a flow's application: %w", err)
	}
	return true, nil
}
