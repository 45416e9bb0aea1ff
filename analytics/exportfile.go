package analytics

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// record is a row as files show it: the fields of the log's JSON, the translated
// tuple flat. NDJSON and Parquet leave out what is not known, a CSV leaves it
// empty.
type record struct {
	ID              string  `json:"id" parquet:"id"`
	FlowID          string  `json:"flow_id" parquet:"flow_id"`
	DeviceID        string  `json:"device_id" parquet:"device_id,dict"`
	Event           string  `json:"event" parquet:"event,dict"`
	Timestamp       float64 `json:"timestamp" parquet:"timestamp"`
	Action          string  `json:"action" parquet:"action,dict"`
	Interface       string  `json:"interface" parquet:"interface,dict"`
	ZoneFrom        string  `json:"zone_from" parquet:"zone_from,dict"`
	ZoneTo          string  `json:"zone_to" parquet:"zone_to,dict"`
	Protocol        string  `json:"protocol" parquet:"protocol,dict"`
	SourceIP        string  `json:"source_ip" parquet:"source_ip,dict"`
	SourcePort      uint32  `json:"source_port" parquet:"source_port"`
	SourceMAC       *string `json:"source_mac,omitempty" parquet:"source_mac,optional,dict"`
	DestinationIP   string  `json:"destination_ip" parquet:"destination_ip,dict"`
	DestinationPort uint32  `json:"destination_port" parquet:"destination_port"`
	RuleID          *int64  `json:"rule_id,omitempty" parquet:"rule_id,optional"`
	RuleName        *string `json:"rule_name,omitempty" parquet:"rule_name,optional,dict"`
	PolicyRevision  int64   `json:"policy_revision" parquet:"policy_revision"`
	App             *string `json:"app,omitempty" parquet:"app,optional,dict"`
	Geo             *string `json:"geo,omitempty" parquet:"geo,optional,dict"`
	Threat          *string `json:"threat,omitempty" parquet:"threat,optional,dict"`
	Hostname        *string `json:"hostname,omitempty" parquet:"hostname,optional,dict"`
	Bytes           int64   `json:"bytes" parquet:"bytes"`
	Packets         int64   `json:"packets" parquet:"packets"`
	BytesSent       int64   `json:"bytes_sent" parquet:"bytes_sent"`
	BytesReceived   int64   `json:"bytes_received" parquet:"bytes_received"`
	DurationMS      *int64  `json:"duration_ms,omitempty" parquet:"duration_ms,optional"`
	ICMPType        *uint32 `json:"icmp_type,omitempty" parquet:"icmp_type,optional"`
	ICMPCode        *uint32 `json:"icmp_code,omitempty" parquet:"icmp_code,optional"`
	Count           int64   `json:"count" parquet:"count"`
	NATSourceIP     *string `json:"nat_source_ip,omitempty" parquet:"nat_source_ip,optional,dict"`
	NATSourcePort   *uint32 `json:"nat_source_port,omitempty" parquet:"nat_source_port,optional"`
	NATDestIP       *string `json:"nat_destination_ip,omitempty" parquet:"nat_destination_ip,optional,dict"`
	NATDestPort     *uint32 `json:"nat_destination_port,omitempty" parquet:"nat_destination_port,optional"`
	Reason          string  `json:"reason" parquet:"reason,dict"`
}

func recordOf(e *ngfwv1.LogEntry) record {
	r := record{
		ID: e.Id, FlowID: e.FlowId, DeviceID: e.DeviceId, Event: e.Event, Timestamp: e.Timestamp, Action: e.Action,
		Interface: e.Interface, ZoneFrom: e.ZoneFrom, ZoneTo: e.ZoneTo, Protocol: e.Protocol,
		SourceIP: e.SourceIp, SourcePort: e.SourcePort, SourceMAC: e.SourceMac,
		DestinationIP: e.DestinationIp, DestinationPort: e.DestinationPort,
		RuleID: e.RuleId, RuleName: e.RuleName, PolicyRevision: e.PolicyRevision,
		App: e.App, Geo: e.Geo, Threat: e.Threat, Hostname: e.Hostname,
		Bytes: e.Bytes, Packets: e.Packets, BytesSent: e.BytesSent, BytesReceived: e.BytesReceived,
		DurationMS: e.DurationMs, ICMPType: e.IcmpType, ICMPCode: e.IcmpCode, Count: e.Count, Reason: e.Reason,
	}
	if n := e.Nat; n != nil {
		r.NATSourceIP, r.NATSourcePort, r.NATDestIP, r.NATDestPort = &n.SourceIp, &n.SourcePort, &n.DestinationIp, &n.DestinationPort
	}
	return r
}

var recordFields = []string{
	"id", "flow_id", "device_id", "event", "timestamp", "action", "interface", "zone_from", "zone_to", "protocol",
	"source_ip", "source_port", "source_mac", "destination_ip", "destination_port", "rule_id", "rule_name", "policy_revision",
	"app", "geo", "threat", "hostname", "bytes", "packets", "bytes_sent", "bytes_received", "duration_ms",
	"icmp_type", "icmp_code", "count", "nat_source_ip", "nat_source_port", "nat_destination_ip", "nat_destination_port", "reason",
}

// csvFile is RFC 4180 with a header line.
type csvFile struct{ *csv.Writer }

func newCSV(w io.Writer) (rowWriter, error) {
	c := csvFile{csv.NewWriter(w)}
	c.UseCRLF = true
	return c, c.Writer.Write(recordFields)
}

func (c csvFile) Write(row *row) error {
	r := recordOf(row.entry())
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	return c.Writer.Write([]string{
		r.ID, r.FlowID, harmless(r.DeviceID), r.Event, strconv.FormatFloat(r.Timestamp, 'f', 6, 64), r.Action,
		harmless(r.Interface), harmless(r.ZoneFrom), harmless(r.ZoneTo), r.Protocol,
		r.SourceIP, n(int64(r.SourcePort)), shown(r.SourceMAC), r.DestinationIP, n(int64(r.DestinationPort)),
		shown(r.RuleID), shown(r.RuleName), n(r.PolicyRevision), shown(r.App), shown(r.Geo), shown(r.Threat), shown(r.Hostname),
		n(r.Bytes), n(r.Packets), n(r.BytesSent), n(r.BytesReceived), shown(r.DurationMS), shown(r.ICMPType), shown(r.ICMPCode), n(r.Count),
		shown(r.NATSourceIP), shown(r.NATSourcePort), shown(r.NATDestIP), shown(r.NATDestPort), harmless(r.Reason),
	})
}

func (c csvFile) Close() error {
	c.Flush()
	return c.Error()
}

func shown[T any](v *T) string {
	if v == nil {
		return ""
	}
	return harmless(fmt.Sprint(*v))
}

// harmless keeps a spreadsheet from taking a text for a formula: names come
// from the network (OWASP, "CSV Injection"). Our numbers are never negative.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// ndjsonFile is one JSON object a line.
type ndjsonFile struct{ *json.Encoder }

func newNDJSON(w io.Writer) (rowWriter, error) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return ndjsonFile{e}, nil
}

func (f ndjsonFile) Write(r *row) error { return f.Encode(recordOf(r.entry())) }
func (ndjsonFile) Close() error         { return nil }

// parquetGroup bounds the rows that are held until they are written.
const parquetGroup = 20_000

type parquetFile struct {
	*parquet.GenericWriter[record]
	held []record
}

func newParquet(w io.Writer) (rowWriter, error) {
	return &parquetFile{
		GenericWriter: parquet.NewGenericWriter[record](w, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("ngfw.sh", "", "")),
		held:          make([]record, 0, parquetGroup),
	}, nil
}

func (f *parquetFile) Write(r *row) error {
	f.held = append(f.held, recordOf(r.entry()))
	if len(f.held) < parquetGroup {
		return nil
	}
	return f.group()
}

// group writes what is held as one row group.
func (f *parquetFile) group() error {
	if _, err := f.GenericWriter.Write(f.held); err != nil {
		return fmt.Errorf("write parquet: %w", err)
	}
	f.held = f.held[:0]
	return f.Flush()
}

func (f *parquetFile) Close() error {
	if len(f.held) > 0 {
		if err := f.group(); err != nil {
			return err
		}
	}
	return f.GenericWriter.Close()
}
