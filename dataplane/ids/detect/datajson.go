package detect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/rule"
)

// loadJSON reads the members of a set from JSON: the value at ValueKey of each object of an array
// (the one at ArrayKey, or the whole), or of each line. Keys lead into objects by dots.
func (d *definition) loadJSON(name, text string, o rule.SetOptions) error {
	if o.ValueKey == "" {
		return fmt.Errorf("%s: a set in JSON needs a value_key", name)
	}
	var objects []any
	if o.Format == "jsonline" {
		dec := json.NewDecoder(strings.NewReader(text))
		for {
			var v any
			if err := dec.Decode(&v); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			objects = append(objects, v)
		}
	} else {
		var whole any
		dec := json.NewDecoder(bytes.NewReader([]byte(text)))
		if err := dec.Decode(&whole); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if o.ArrayKey != "" {
			whole = inside(whole, o.ArrayKey)
		}
		list, ok := whole.([]any)
		if !ok {
			return fmt.Errorf("%s: there is no array at %q", name, o.ArrayKey)
		}
		objects = list
	}
	for _, x := range objects {
		member, ok := inside(x, o.ValueKey).(string)
		if !ok || member == "" {
			continue // an object without the value adds nothing
		}
		key := member
		if d.typ != "string" {
			var err error
			if key, err = d.key(member); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		d.members[key] = 0
		if o.EnrichmentKey == "" {
			continue
		}
		if o.RemoveKey {
			x = without(x, o.ValueKey)
		}
		if text, err := json.Marshal(x); err == nil {
			if d.enrichment == nil {
				d.enrichment = map[string]json.RawMessage{}
			}
			d.enrichment[key] = text
		}
	}
	return nil
}

// inside follows keys into objects.
func inside(v any, path string) any {
	for more := true; more; {
		var key string
		key, path, more = strings.Cut(path, ".")
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// without is v less what is at a path. It changes v.
func without(v any, path string) any {
	at, last := v, path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		at, last = inside(v, path[:i]), path[i+1:]
	}
	if m, ok := at.(map[string]any); ok {
		delete(m, last)
	}
	return v
}

// Enrichment is what a set in JSON says of a member, and the key it is told under in the
// event log; nil if it says nothing.
type Enrichment struct {
	Key  string
	Data json.RawMessage
}

// maxEnrichments bounds those of one match.
const maxEnrichments = 16

// enrich notes what a set says of a member that was found, for the rule that is being tried.
func (w *Worker) enrich(d *dataset, c *dataCheck, key []byte) {
	if c.enrichment == "" || d.enrichment == nil {
		return
	}
	if data := d.enrichment[string(key)]; data != nil && len(w.enrichments) < maxEnrichments {
		w.enrichments = append(w.enrichments, Enrichment{c.enrichment, data})
	}
}

// txContext is what sets have said to a rule that is pending in a transaction.
type txContext struct {
	rule int32
	dir  app.Direction
	list []Enrichment
}

func (t *txState) contextOf(p *pending) []Enrichment {
	for i := range t.context {
		if c := &t.context[i]; c.rule == p.rule && c.dir == p.dir {
			return c.list
		}
	}
	return nil
}

func (t *txState) keepContext(p *pending, list []Enrichment) {
	for i := range t.context {
		if c := &t.context[i]; c.rule == p.rule && c.dir == p.dir {
			c.list = list
			return
		}
	}
	t.context = append(t.context, txContext{p.rule, p.dir, list})
}
