package detect

import "ngfw.sh/dataplane/ids/rule"

// Replacement is bytes of a packet's payload that a rule wants others in the place of (manual, "replace").
type Replacement struct {
	At    int
	Bytes []byte
}

// Replacements are those of the rules that matched in the last Inspect, for whoever may change
// packets.
func (w *Worker) Replacements() []Replacement { return w.replacements }

// replace notes what a content wants replaced, should its rule match.
func (w *Worker) replace(s *step, at int) {
	if w.inPacket && s.content.Is(rule.HasReplace) && len(w.replacing) < 64 {
		w.replacing = append(w.replacing, Replacement{at, s.content.Replace})
	}
}

// replaces says whether a rule has something replaced.
func replaces(r *rule.Rule) bool {
	for i := range r.Buffers {
		for _, m := range r.Buffers[i].Matches {
			if c, ok := m.(*rule.Content); ok && c.Is(rule.HasReplace) {
				return true
			}
		}
	}
	return false
}
