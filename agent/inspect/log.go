package inspect

import (
	"context"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"ngfw.sh/agent/flowlog"
	"ngfw.sh/config/ids"
	"ngfw.sh/dataplane/flow"
	matcher "ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/eve"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const (
	flushInterval = 100 * time.Millisecond
	maxWaiting    = 4096 // alerts between two flushes; more are counted
	preview       = 256  // bytes of a payload that an alert shows
	patience      = 20   // flushes that an alert waits for its flow's number
)

// log is the matcher's log: alerts go to the cloud's batches, what is learnt of flows to
// their rows, and everything to EVE where that is wanted.
type log struct {
	deps    Deps
	metrics *metrics
	events  *eve.Writer // nil: nobody wants it

	mu      sync.Mutex // guards what follows
	doc     ids.Document
	classes map[string]rule.Class
	waiting []waiting
	minute  int64
	told    map[telling]int64 // alerts of this minute
}

// waiting is an alert between two flushes.
type waiting struct {
	event   *ngfwv1.AlertEvent
	flow    flow.Tuple // zero: of none
	flushes int        // that it has waited for its flow's number
}

// telling is what an alert threshold counts by.
type telling struct {
	sid    uint32
	source netip.Addr
}

func newLog(deps Deps, m *metrics, doc ids.Document, l *Loaded) *log {
	g := &log{deps: deps, metrics: m, told: map[telling]int64{}}
	if deps.Events != nil {
		cfg := eve.DefaultConfig()
		cfg.Inline = doc.Mode == ids.Prevent
		cfg.Classes, cfg.References = l.Classes, l.References
		g.events = eve.New(cfg, deps.Events)
	}
	g.use(doc, l)
	return g
}

func (g *log) use(doc ids.Document, l *Loaded) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.doc, g.classes = doc, maps.Clone(l.Classes)
}

// run hands alerts over in batches.
func (g *log) run(ctx context.Context) {
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.flush(patience)
		}
	}
}

// flush hands over what has its flow's number, or has none to wait for. The row that
// gives the number comes by another way, often a moment after the alert.
func (g *log) flush(patience int) {
	g.mu.Lock()
	var out []*ngfwv1.AlertEvent
	keep := g.waiting[:0]
	for _, w := range g.waiting {
		id, ok := g.deps.Facts.FlowID(w.flow)
		if w.flushes++; !ok && w.flow != (flow.Tuple{}) && w.flushes <= patience {
			keep = append(keep, w)
			continue
		}
		w.event.FlowId = id
		out = append(out, w.event)
	}
	clear(g.waiting[len(keep):])
	g.waiting = keep
	g.mu.Unlock()
	if len(out) == 0 {
		return
	}
	if err := g.deps.Alerts(out); err != nil {
		g.metrics.lost.Add(float64(len(out)))
		g.deps.Log.Error("alerts are lost", "alerts", len(out), "err", err)
	}
}

// Alert implements ids.Log.
func (g *log) Alert(a *matcher.Alert) {
	if g.events != nil {
		g.events.Alert(a)
	}
	r := a.Match.Rule
	g.mu.Lock()
	if !g.worthTelling(r.SID, a.Packet.Src) {
		g.mu.Unlock()
		g.metrics.held.Inc()
		return
	}
	class, own := g.classes[r.Class], g.doc.Rules
	g.mu.Unlock()
	source, destination := ends(a)
	e := &ngfwv1.AlertEvent{
		TimeNs: a.Packet.Time, Severity: severity(r, class), Signature: r.Message, SignatureId: int64(r.SID), Category: ids.CategoryOf(r.Class),
		SourceIp: source.Addr().AsSlice(), SourcePort: uint32(source.Port()), DestinationIp: destination.Addr().AsSlice(), DestinationPort: uint32(destination.Port()),
		Protocol: uint32(a.Packet.Protocol), Blocked: a.Blocked, Payload: head(a), Metadata: metadata(r, class),
	}
	for _, c := range a.Match.Context {
		if len(c.Data) < 1024 {
			e.Metadata["context."+c.Key] = string(c.Data)
		}
	}
	for i := range own {
		if own[i].SID == int64(r.SID) && own[i].Enabled {
			e.Category = own[i].Category
		}
	}
	g.metrics.alerts.WithLabelValues(e.Category).Inc()
	var t flow.Tuple
	if f := a.Flow; f != nil {
		t = tupleOf(f)
		fact := flowlog.Fact{Threat: r.Message}
		if f.Detect.ProtocolKnown {
			e.AppProto = eve.AppName(f.Detect.Protocol)
			fact.App = e.AppProto
		}
		g.deps.Facts.Learn(t, fact)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) >= maxWaiting {
		g.metrics.lost.Inc()
		return
	}
	g.waiting = append(g.waiting, waiting{event: e, flow: t})
}

// ends are the sender and the receiver of what was matched: a request may be looked at
// when the packet comes that acknowledges it.
func ends(a *matcher.Alert) (source, destination netip.AddrPort) {
	if a.Flow == nil || a.Transaction == nil && a.Stream == nil {
		return netip.AddrPortFrom(a.Packet.Src, a.Packet.SrcPort), netip.AddrPortFrom(a.Packet.Dst, a.Packet.DstPort)
	}
	if r := a.Match.Rule; r.ToServer && !r.ToClient || r.ToServer == r.ToClient && a.Direction == app.ToServer {
		return a.Flow.Client, a.Flow.Server
	}
	return a.Flow.Server, a.Flow.Client
}

// worthTelling holds back what exceeds the threshold. mu is held.
func (g *log) worthTelling(sid uint32, source netip.Addr) bool {
	if g.doc.AlertThreshold == 0 {
		return true
	}
	const most = 1 << 16
	if minute := time.Now().Unix() / 60; minute != g.minute || len(g.told) > most {
		g.minute = minute
		clear(g.told)
	}
	k := telling{sid, source}
	g.told[k]++
	return g.told[k] <= g.doc.AlertThreshold
}

// Drop implements ids.Log.
func (g *log) Drop(d *matcher.Drop) {
	g.metrics.dropped.Inc()
	if g.events != nil {
		g.events.Drop(d)
	}
}

// Tagged implements ids.Log.
func (g *log) Tagged(p *packet.Packet, f *matcher.Flow, d app.Direction) {
	if g.events != nil {
		g.events.Tagged(p, f, d)
	}
}

// Transaction implements ids.Log: the names that clients ask for become the flow's.
func (g *log) Transaction(f *matcher.Flow, t app.Transaction) {
	if g.events != nil {
		g.events.Transaction(f, t)
	}
	if name := hostname(t); name != "" {
		g.deps.Facts.Learn(tupleOf(f), flowlog.Fact{Hostname: name})
	}
}

// hostname is the server's, as the client calls it.
func hostname(t app.Transaction) string {
	var room [1]app.Buffer
	for _, name := range []string{"tls.sni", "http.host", "quic.sni"} {
		if k := rule.KindOf(name); k != nil {
			if b := t.Buffers(k, app.ToServer, room[:0]); len(b) > 0 && len(b[0].Data) > 0 && len(b[0].Data) < 256 {
				return strings.ToValidUTF8(strings.ToLower(string(b[0].Data)), "")
			}
		}
	}
	return ""
}

// File implements ids.Log.
func (g *log) File(f *matcher.Flow, t app.Transaction, d app.Direction, file *app.File) {
	if g.events != nil {
		g.events.File(f, t, d, file)
	}
}

// Flow implements ids.Log.
func (g *log) Flow(f *matcher.Flow, reason string) {
	if g.events != nil {
		g.events.Flow(f, reason)
	}
}

// Anomaly implements ids.Log.
func (g *log) Anomaly(a *matcher.Anomaly) {
	if g.events != nil {
		g.events.Anomaly(a)
	}
}

// severity is what the rule's metadata says, in the words that public sets use, or its
// priority.
func severity(r *rule.Rule, class rule.Class) ngfwv1.AlertSeverity {
	for _, m := range r.Metadata {
		if m.Key == "signature_severity" {
			switch m.Value {
			case "Critical":
				return ngfwv1.AlertSeverity_ALERT_SEVERITY_CRITICAL
			case "Major":
				return ngfwv1.AlertSeverity_ALERT_SEVERITY_HIGH
			case "Minor":
				return ngfwv1.AlertSeverity_ALERT_SEVERITY_MEDIUM
			case "Informational":
				return ngfwv1.AlertSeverity_ALERT_SEVERITY_LOW
			}
		}
	}
	priority := r.Priority
	if priority == 0 {
		priority = class.Priority
	}
	switch priority {
	case 1:
		return ngfwv1.AlertSeverity_ALERT_SEVERITY_HIGH
	case 2:
		return ngfwv1.AlertSeverity_ALERT_SEVERITY_MEDIUM
	}
	return ngfwv1.AlertSeverity_ALERT_SEVERITY_LOW
}

// head is the beginning of what was matched on.
func head(a *matcher.Alert) []byte {
	data := a.Packet.Payload
	if len(a.Stream) > 0 {
		data = a.Stream
	}
	if len(data) == 0 && a.Transaction != nil {
		data = opening(a.Transaction)
	}
	return append([]byte(nil), data[:min(len(data), preview)]...)
}

// opening is what a transaction begins with.
func opening(t app.Transaction) []byte {
	var room [1]app.Buffer
	for _, name := range []string{"http.request_line", "dns.query", "tls.sni", "quic.sni", "ssh.software"} {
		if k := rule.KindOf(name); k != nil {
			if b := t.Buffers(k, app.ToServer, room[:0]); len(b) > 0 {
				return b[0].Data
			}
		}
	}
	return nil
}

// metadata is the rule's, with what it belongs to.
func metadata(r *rule.Rule, class rule.Class) map[string]string {
	out := map[string]string{"gid": strconv.FormatUint(uint64(r.GID), 10), "rev": strconv.FormatUint(uint64(r.Revision), 10)}
	if r.Class != "" {
		out["classtype"] = r.Class
	}
	if class.Description != "" {
		out["class"] = class.Description
	}
	for _, m := range r.Metadata {
		if len(out) < 32 && len(m.Key)+len(m.Value) < 256 {
			out[m.Key] = m.Value
		}
	}
	return out
}
