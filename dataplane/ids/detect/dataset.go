package detect

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"sort"
	"strconv"
	"strings"
	"sync"

	"ngfw.sh/dataplane/ids/rule"
)

// dataset is a set that rules look buffers up in and change.
type dataset struct {
	name string
	typ  string
	save string
	// enrichment is what is told of members; it does not change.
	enrichment map[string]json.RawMessage

	mu     sync.RWMutex // guards what follows
	values map[string]uint16
	size   uint64
	max    uint64
}

// memberCost is about what a member takes beside its bytes.
const memberCost = 64

// definition is a dataset as rules declare it, not yet that of a State.
type definition struct {
	name, typ, save string
	max             uint64
	members         map[string]uint16
	loaded          bool
	enrichment      map[string]json.RawMessage
}

// dataCheck is a dataset or datarep keyword. set is an index into Worker.sets.
type dataCheck struct {
	set     int
	op      rule.StateOp
	compare rule.Compare
	// enrichment is the key under which what the set says of a member is told.
	enrichment string
}

// dataset finds the definition of a set, or makes it.
func (c *compiler) dataset(r *rule.Rule, o rule.SetOptions) (int, error) {
	i, known := c.dataNames[o.Name]
	if !known {
		i = len(c.set.data)
		c.set.data = append(c.set.data, &definition{name: o.Name, members: map[string]uint16{}})
		c.dataNames[o.Name] = i
	}
	d := c.set.data[i]
	if o.Type != "" {
		if d.typ != "" && d.typ != o.Type {
			return 0, fmt.Errorf("the dataset %s is of the type %s", o.Name, d.typ)
		}
		d.typ = o.Type
	}
	if d.typ == "" {
		return 0, fmt.Errorf("the dataset %s has no type", o.Name)
	}
	if o.MemoryCap > 0 {
		d.max = o.MemoryCap
	}
	if d.max == 0 {
		d.max = c.cfg.DataMemory
	}
	load := o.Load
	if o.State != "" {
		load = o.State
		d.save = o.State
	}
	if o.Save != "" {
		d.save = o.Save
	}
	if load == "" || d.loaded {
		return i, nil
	}
	if c.cfg.Open == nil {
		return 0, notSupported("file " + load)
	}
	text, err := c.cfg.Open(r, load)
	if err != nil {
		if o.State != "" {
			return i, nil // there is none before the first is written
		}
		return 0, err
	}
	d.loaded = true
	if o.Format != "" && o.Format != "csv" {
		return i, d.loadJSON(load, string(text), o)
	}
	return i, d.load(load, string(text))
}

// load reads a file of members, a line each: strings in base64, digests in hexadecimal,
// addresses as they are, each with a reputation after a comma if it has one.
func (d *definition) load(name, text string) error {
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || d.typ != "string" && line[0] == '#' {
			continue
		}
		member, rep, hasRep := strings.Cut(line, ",")
		key, err := d.key(member)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, n+1, err)
		}
		v := uint64(0)
		if hasRep {
			if v, err = strconv.ParseUint(strings.TrimSpace(rep), 10, 16); err != nil {
				return fmt.Errorf("%s:%d: %q is no reputation", name, n+1, rep)
			}
		}
		d.members[key] = uint16(v)
	}
	return nil
}

// key is how a member of a file is kept.
func (d *definition) key(s string) (string, error) {
	switch d.typ {
	case "string":
		b, err := base64.StdEncoding.DecodeString(s)
		return string(b), err
	case "md5", "sha256":
		b, err := hex.DecodeString(s)
		if err == nil && len(b) != map[string]int{"md5": 16, "sha256": 32}[d.typ] {
			err = fmt.Errorf("%q is no %s", s, d.typ)
		}
		return string(b), err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return "", err
	}
	return addressKey(a), nil
}

func addressKey(a netip.Addr) string {
	b := a.As16()
	return string(b[:])
}

// attach gives a worker's State the sets of a Set: those it has keep their members.
func (s *State) attach(all []*definition) []*dataset {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sets []*dataset
	for _, d := range all {
		x := s.datasets[d.name]
		if x == nil || x.typ != d.typ {
			x = &dataset{name: d.name, typ: d.typ, save: d.save, enrichment: d.enrichment, values: make(map[string]uint16, len(d.members)), max: d.max}
			for k, v := range d.members {
				x.add(k, v)
			}
			s.datasets[d.name] = x
		}
		sets = append(sets, x)
	}
	return sets
}

// add adds a member, which the caller has locked for or alone knows; false: it is full.
func (d *dataset) add(key string, v uint16) bool {
	if _, ok := d.values[key]; !ok {
		cost := uint64(len(key) + memberCost)
		if d.size+cost > d.max {
			return false
		}
		d.size += cost
	}
	d.values[key] = v
	return true
}

// lookup finds the member that a buffer is; buf is room for its key.
func (d *dataset) lookup(data []byte, buf *[16]byte) (v uint16, ok, valid bool) {
	key, valid := d.form(data, buf)
	if !valid {
		return 0, false, false
	}
	d.mu.RLock()
	v, ok = d.values[string(key)]
	d.mu.RUnlock()
	return v, ok, true
}

// form is the key of a buffer. A set of digests takes the digest, in binary.
func (d *dataset) form(data []byte, buf *[16]byte) ([]byte, bool) {
	switch d.typ {
	case "string":
		return data, true
	case "md5":
		return data, len(data) == 16
	case "sha256":
		return data, len(data) == 32
	}
	a, ok := netip.AddrFromSlice(data)
	if !ok || d.typ == "ipv4" && !a.Unmap().Is4() {
		return nil, false
	}
	*buf = a.As16()
	return buf[:], true
}

// dataset is the keyword: it looks a buffer up, or changes the set.
func (w *Worker) dataset(c *dataCheck, data []byte) bool {
	d := w.sets[c.set]
	_, found, valid := d.lookup(data, &w.key)
	switch c.op {
	case rule.StateIsSet:
		if found && c.enrichment != "" {
			key, _ := d.form(data, &w.key)
			w.enrich(d, c, key)
		}
		return found
	case rule.StateIsNotSet:
		return valid && !found
	case rule.StateSet:
		if found || !valid {
			return false // as the manual has it: only what is new matches
		}
		key, _ := d.form(data, &w.key)
		d.mu.Lock()
		ok := d.add(string(key), 0)
		d.mu.Unlock()
		if !ok {
			w.state.Counters.Refused.Add(1)
		}
		return ok
	default: // unset
		if !found {
			return false
		}
		key, _ := d.form(data, &w.key)
		d.mu.Lock()
		if _, ok := d.values[string(key)]; ok {
			delete(d.values, string(key))
			d.size -= uint64(len(key) + memberCost)
		}
		d.mu.Unlock()
		return true
	}
}

// dataRep is the keyword: it compares the reputation that the set gives to a buffer.
func (w *Worker) dataRep(c *dataCheck, data []byte) bool {
	v, found, _ := w.sets[c.set].lookup(data, &w.key)
	return found && c.compare.Match(uint64(v))
}

// Save calls f for each dataset that a rule wants saved, with the text of its file.
func (s *State) Save(f func(name string, text []byte) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.datasets {
		if d.save == "" {
			continue
		}
		if err := f(d.save, d.text()); err != nil {
			return fmt.Errorf("save the dataset %s: %w", d.name, err)
		}
	}
	return nil
}

func (d *dataset) text() []byte {
	d.mu.RLock()
	lines := make([]string, 0, len(d.values))
	for key, v := range d.values {
		var line string
		switch d.typ {
		case "string":
			line = base64.StdEncoding.EncodeToString([]byte(key))
		case "md5", "sha256":
			line = hex.EncodeToString([]byte(key))
		default:
			a, _ := netip.AddrFromSlice([]byte(key))
			line = a.Unmap().String()
		}
		if v != 0 {
			line += "," + strconv.Itoa(int(v))
		}
		lines = append(lines, line)
	}
	d.mu.RUnlock()
	sort.Strings(lines)
	var b []byte
	for _, l := range lines {
		b = append(append(b, l...), '\n')
	}
	return b
}
