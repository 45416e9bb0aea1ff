package ids

import (
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/rule"
)

// application is the application side of a flow.
type application struct {
	session *app.Session
	done    app.Done
	gaveUp  bool // the parser did, and its policy was not applied yet
	closed  [2]bool
	whole   [2]uint64 // transactions before these are complete
}

func (a *application) parser() app.Parser {
	if a.session == nil {
		return nil
	}
	return a.session.Parser()
}

func (a *application) transactions() []app.Transaction {
	if a.session == nil {
		return nil
	}
	return a.session.Transactions()
}

// open begins the application side of a flow.
func (w *Worker) open(f *Flow) {
	over := app.OverTCP
	if f.Protocol == protoUDP {
		over = app.OverUDP
	}
	limits := w.engine.cfg.Limits
	limits.HashFiles = limits.HashFiles || w.set != nil && w.set.HashFiles()
	limits.Frames = limits.Frames || w.set != nil && w.set.WantsFrames()
	f.app.session = w.apps.Open(app.Flow{
		Over: over, ClientPort: f.Client.Port(), ServerPort: f.Server.Port(), Limits: limits, Choice: &w.engine.cfg.Protocols,
		Expected: w.takeExpected(f), Client: f.Client.Addr(),
	})
}

// feed gives bytes of a direction to the application; a gap is bytes that will
// never come.
func (w *Worker) feed(f *Flow, dir app.Direction, data []byte, gap int) {
	if f.broken || f.app.closed[dir] {
		return
	}
	if f.app.session == nil {
		w.open(f)
	}
	s := f.app.session
	if gap > 0 {
		s.Gap(dir, gap)
	} else {
		s.Feed(dir, data)
	}
	w.follow(f)
}

// follow takes over what the application side has found out.
func (w *Worker) follow(f *Flow) {
	s := f.app.session
	d := &f.Detect
	d.Protocol = s.Protocol()
	d.ProtocolKnown = d.Protocol != 0
	d.ProtocolOf = [2]rule.Protocol{s.ProtocolOf(app.ToServer), s.ProtocolOf(app.ToClient)}
	d.Failed = [2]bool{s.Failed(app.ToServer), s.Failed(app.ToClient)}
	d.Original = s.Original()
	w.expect(f)
	f.dirty = [2]bool{true, true}
	if f.TCP != nil {
		w.triggerComplete(f)
	}
	if f.app.done == app.NotDone {
		f.app.done = s.Done()
		if f.app.done == app.Encrypted && f.TCP != nil {
			f.TCP.Trigger(app.ToServer)
			f.TCP.Trigger(app.ToClient)
		}
		if f.app.gaveUp = f.app.done == app.GaveUp && s.Parser() != nil; f.app.gaveUp {
			w.Counters.GaveUp++
		}
	}
}

// triggerComplete has rules on streams look at what there is of the directions in which
// a message has become whole.
func (w *Worker) triggerComplete(f *Flow) {
	for _, t := range f.app.session.Transactions() {
		for _, dir := range [...]app.Direction{app.ToServer, app.ToClient} {
			if id := t.ID(); id >= f.app.whole[dir] && t.Complete(dir) {
				f.app.whole[dir] = id + 1
				f.TCP.Trigger(dir)
			}
		}
	}
}

// gaveUp applies the policy for flows whose parser has just given up (app-layer.error-policy).
// Done says that the packet needs no inspection by it.
func (w *Worker) gaveUp(f *Flow, v *Verdict) (done bool) {
	if !f.app.gaveUp {
		return false
	}
	f.app.gaveUp = false
	policy := w.engine.cfg.Exceptions.AppError
	w.except(f, policy, "applayer error", v)
	return policy == DropPacket && w.engine.cfg.Inline || policy == PassPacket
}

// closeApp says that a direction sends no more.
func (w *Worker) closeApp(f *Flow, dir app.Direction) {
	if f.app.session == nil || f.app.closed[dir] || f.broken {
		return
	}
	f.app.closed[dir] = true
	f.app.session.Close(dir)
	w.follow(f)
}
