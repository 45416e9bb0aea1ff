package devicelink

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"ngfw.sh/internal/backoff"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const fullSection = "full"

// pusher brings the device's document to the router: one changed section as
// ConfigPush, several in one step as ConfigFull. It does not wait for an answer
// before it sends something newer. A section that failed is sent again when the
// document has a newer version, or at the next connection.
type pusher struct {
	ss     *session
	wanted chan struct{}

	mu      sync.Mutex
	pushes  map[string]*push // not answered, by message id
	known   map[string]*known
	version int64 // of the document as last looked at
	inForce int64 // version last reported as applied whole
	mode    string
}

// push is one message that was sent.
type push struct {
	section  string // or fullSection
	version  int64
	sections []string
}

// known is what a section was last sent as, or found to run as.
type known struct {
	sum     [sha256.Size]byte
	version int64
	push    string // id; "" when it is answered
	failed  bool
}

func newPusher(ss *session) *pusher {
	return &pusher{ss: ss, wanted: make(chan struct{}, 1), pushes: map[string]*push{}, known: map[string]*known{}, inForce: -1}
}

func (p *pusher) wake() {
	select {
	case p.wanted <- struct{}{}:
	default:
	}
}

func (p *pusher) run() {
	retry := backoff.Backoff{Min: p.ss.server.cfg.RetryMin, Max: p.ss.server.cfg.RetryMax}
	for {
		if err := p.look(); err == nil {
			retry.Reset()
		} else {
			if p.ss.ctx.Err() != nil {
				return
			}
			p.ss.log.Error("wanted configuration cannot be sent", "error", err)
			if !p.ss.wait(retry.Next()) {
				return
			}
			continue
		}
		select {
		case <-p.wanted:
		case <-p.ss.ctx.Done():
			return
		}
	}
}

// look compares the document with what the router has and sends the difference.
func (p *pusher) look() error {
	version, sections, mode, err := p.ss.server.deps.Documents.Document(p.ss.ctx, p.ss.device.ID)
	if err != nil {
		return err
	}
	p.mu.Lock()
	var out []*ngfwv1.CloudMessage
	if mode != "" && mode != p.mode {
		p.mode = mode
		out = append(out, &ngfwv1.CloudMessage{Id: uuid.NewString(), Payload: &ngfwv1.CloudMessage_ModeUpdate{ModeUpdate: &ngfwv1.ModeUpdate{Mode: mode}}})
	}
	p.version = version
	changed := p.changedLocked(version, sections)
	m, err := message(version, sections, changed)
	if err != nil {
		p.mu.Unlock()
		return err
	}
	if m != nil {
		m.Id = uuid.NewString()
		sent := &push{section: fullSection, version: version, sections: changed}
		if len(changed) == 1 {
			sent.section = changed[0]
		} else {
			sent.sections = slices.Collect(maps.Keys(sections))
		}
		p.pushes[m.Id] = sent
		for _, name := range sent.sections {
			p.known[name] = &known{sum: sha256.Sum256(sections[name]), version: version, push: m.Id}
		}
		p.forgetLocked()
		out = append(out, m)
		p.ss.log.Info("configuration sent", "section", sent.section, "version", version)
	}
	p.settledLocked()
	p.mu.Unlock()
	for _, m := range out {
		p.ss.post(m)
	}
	return nil
}

// changedLocked lists the sections that the router must be sent, sorted.
func (p *pusher) changedLocked(version int64, sections map[string][]byte) []string {
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		sum := sha256.Sum256(sections[name])
		k := p.known[name]
		if k == nil {
			switch applied := p.ss.hello.Applied[name]; {
			case applied == version && version > 0:
				p.known[name] = &known{sum: sum, version: version}
				continue
			case applied > version: // it would refuse; a cloud restored from an old backup
				p.ss.log.Error("the router runs a newer configuration than the cloud has", "section", name, "applied", applied, "wanted", version)
				p.known[name] = &known{sum: sum, version: version, failed: true}
				p.ss.report.config(outcome{section: name, version: version, failed: true, message: "the router runs a newer version than the cloud has: change the section to send it again"})
				continue
			}
		} else if k.sum == sum && !(k.failed && version > k.version) {
			continue
		}
		changed = append(changed, name)
	}
	return changed
}

// message makes the push of the changed sections; nil if there are none.
func message(version int64, sections map[string][]byte, changed []string) (*ngfwv1.CloudMessage, error) {
	switch len(changed) {
	case 0:
		return nil, nil
	case 1:
		return &ngfwv1.CloudMessage{Payload: &ngfwv1.CloudMessage_ConfigPush{ConfigPush: &ngfwv1.ConfigPush{
			Section: changed[0], Version: version, Config: sections[changed[0]],
		}}}, nil
	}
	whole := make(map[string]json.RawMessage, len(sections))
	for name, doc := range sections {
		whole[name] = doc
	}
	doc, err := json.Marshal(whole)
	if err != nil {
		return nil, err
	}
	return &ngfwv1.CloudMessage{Payload: &ngfwv1.CloudMessage_ConfigFull{ConfigFull: &ngfwv1.ConfigFull{Version: version, Config: doc}}}, nil
}

// forgetLocked bounds what waits for an answer: the oldest version goes.
func (p *pusher) forgetLocked() {
	for len(p.pushes) > maxSections {
		oldest := ""
		for id, sent := range p.pushes {
			if oldest == "" || sent.version < p.pushes[oldest].version {
				oldest = id
			}
		}
		delete(p.pushes, oldest)
	}
}

// answered takes the router's answer to a push; fail is nil for an
// acknowledgement. An answer to what was sent anew meanwhile says nothing.
func (p *pusher) answered(id string, fail *ngfwv1.ConfigFail) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := p.pushes[id]
	if sent == nil {
		return
	}
	delete(p.pushes, id)
	current := false
	for _, name := range sent.sections {
		if k := p.known[name]; k.push == id {
			k.push, k.failed = "", fail != nil
			current = true
		}
	}
	switch {
	case fail != nil && current:
		p.ss.server.metrics.configs.WithLabelValues("failed").Inc()
		p.ss.log.Warn("router did not take the configuration", "section", sent.section, "version", sent.version, "field", fail.Field)
		p.ss.report.config(outcome{section: sent.section, version: sent.version, failed: true, message: clip(fail.Error, 4096), field: clip(fail.Field, 256)})
	case fail == nil:
		p.ss.server.metrics.configs.WithLabelValues("applied").Inc()
		if sent.section != fullSection {
			p.ss.report.config(outcome{section: sent.section, version: sent.version})
		}
	}
	p.settledLocked()
}

// settledLocked reports the whole document as applied once every section is.
func (p *pusher) settledLocked() {
	if p.version <= p.inForce || len(p.known) == 0 {
		return
	}
	for _, k := range p.known {
		if k.push != "" || k.failed {
			return
		}
	}
	p.inForce = p.version
	p.ss.report.config(outcome{section: fullSection, version: p.version})
}

// clip cuts a router's words to n bytes of text: half a character would be no
// valid protobuf any more.
func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}
