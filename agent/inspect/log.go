package inspect

import (
	"maps"
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
)

// log is the matcher's log: alerts go to the cloud's batches, what is learnt of flows to
// their rows, and everything to EVE where that is wanted.
type log struct {
	deps    Deps
	metrics *metrics
	events  *eve.Writer // nil: nobody wants it
	outbox  *outbox

	mu      sync.Mutex // guards what follows
	doc     ids.Document
	classes map[string]rule.Class
	told    threshold
}

func newLog(deps Deps, m *metrics, doc ids.Document, l *Loaded) *log {
	g := &log{deps: deps, metrics: m, outbox: &outbox{deps: deps, metrics: m}}
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

// Alert implements ids.Log.
func (g *log) Alert(a *matcher.Alert) {
	if g.events != nil {
		g.events.Alert(a)
	}
	r := a.Match.Rule
	g.mu.Lock()
	tell := g.told.admit(g.doc.AlertThreshold, telling{r.SID, a.Packet.Src}, time.Now())
	class, own := g.classes[r.Class], g.doc.Rules
	g.mu.Unlock()
	if !tell {
		g.metrics.held.Inc()
		return
	}
	e := event(a, class)
	for i := range own {
		if own[i].SID == int64(r.SID) && own[i].Enabled {
			e.Category = own[i].Category
		}
	}
	g.metrics.alerts.WithLabelValues(e.Category).Inc()
	var t flow.Tuple
	if f := a.Flow; f != nil {
		t = tupleOf(f)
		g.deps.Facts.Learn(t, flowlog.Fact{Threat: r.Message, App: e.AppProto})
	}
	g.outbox.add(e, t)
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
