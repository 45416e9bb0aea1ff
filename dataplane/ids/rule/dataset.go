package rule

// Dataset checks or changes whether the buffer is a member of a set.
type Dataset struct {
	Op StateOp // StateIsSet, StateIsNotSet, StateSet or StateUnset
	SetOptions
}

// DataRep compares the reputation that a list gives to the buffer.
type DataRep struct {
	Compare
	SetOptions
}

// SetOptions name a set and say where it is kept. Sets of the same name are the
// same set.
type SetOptions struct {
	Name          string
	Type          string // string, md5, sha256, ipv4 or ip; "": as it was declared elsewhere
	Load          string // file to read at start, relative to that of the rule
	Save          string // file to write at the end
	State         string // file to read and write
	MemoryCap     uint64 // bytes; 0: the default
	HashSize      uint32
	Format        string // csv, json or jsonline; "": csv
	EnrichmentKey string
	ValueKey      string
	ArrayKey      string
	RemoveKey     bool
}

func (*Dataset) match() {}
func (*DataRep) match() {}

var setTypes = []string{"string", "md5", "sha256", "ipv4", "ip"}
var setFormats = []string{"csv", "json", "jsonline"}

func parseDataset(p *parser, o *option) error {
	f, rest, more, err := o.fields(2, "command, name and options")
	if err != nil {
		return err
	}
	op, ok := indexOf(stateOps, f[0])
	if !ok || StateOp(op) == StateToggle {
		return faultf(o.valueAt, "a dataset is isset, isnotset, set or unset, not %q", f[0])
	}
	d := &Dataset{Op: StateOp(op)}
	d.Name = f[1]
	if err := d.read(rest, more, o.valueAt); err != nil {
		return err
	}
	if d.Format != "" && d.Format != "csv" && !d.Op.checks() {
		return faultf(o.valueAt, "a dataset of the format %s cannot be changed", d.Format)
	}
	return p.addSet(d, o)
}

func parseDataRep(p *parser, o *option) error {
	f, rest, more, err := o.fields(3, "name, comparison, value and options")
	if err != nil {
		return err
	}
	d := &DataRep{}
	d.Name = f[0]
	op, left := symbol(f[1])
	v, ok := number(f[2])
	if left != "" || op == NotEqual || op == LessEqual || op == GreaterEqual || f[1] == "" || f[1] == "==" {
		return faultf(o.valueAt, "a datarep is compared by < > or =, not by %q", f[1])
	}
	if !ok || v > 65535 {
		return faultf(o.valueAt, "%q is no reputation from 0 to 65535", f[2])
	}
	d.Compare = Compare{Op: op, A: v}
	if err := d.read(rest, more, o.valueAt); err != nil {
		return err
	}
	if d.Save != "" || d.State != "" || d.Format != "" {
		return faultf(o.valueAt, "a datarep is loaded alone: it has no save, state or format")
	}
	return p.addSet(d, o)
}

func (p *parser) addSet(m Match, o *option) error {
	if !p.active {
		return faultf(o.at, "%s needs a sticky buffer before it", o.keyword.name)
	}
	p.addMatch(m, false)
	return nil
}

func (d *SetOptions) read(rest string, more bool, at int) error {
	if !isName(d.Name) || len(d.Name) > 63 {
		return faultf(at, "%q cannot name a set", d.Name)
	}
	for more {
		var item string
		item, rest, more = part(rest)
		key, value := word(item)
		ok := value != "" || key == "remove_key"
		var text *string
		switch key {
		case "type":
			_, ok = indexOf(setTypes, value)
			text = &d.Type
		case "format":
			if value == "ndjson" {
				value = "jsonline"
			}
			_, ok = indexOf(setFormats, value)
			text = &d.Format
		case "load":
			text = &d.Load
		case "save":
			text = &d.Save
		case "state":
			text = &d.State
		case "enrichment_key", "context_key":
			text = &d.EnrichmentKey
		case "value_key":
			text = &d.ValueKey
		case "array_key":
			text = &d.ArrayKey
		case "remove_key":
			ok = value == "" && !d.RemoveKey
			d.RemoveKey = true
		case "memcap":
			if ok = d.MemoryCap == 0; ok {
				d.MemoryCap, ok = size(value)
				ok = ok && d.MemoryCap > 0
			}
		case "hashsize":
			if ok = d.HashSize == 0; ok {
				d.HashSize, ok = seconds(value)
				ok = ok && d.HashSize > 0
			}
		default:
			return faultf(at, "a set has no option %q", item)
		}
		if text != nil && ok {
			ok = *text == ""
			*text = value
		}
		if !ok {
			return faultf(at, "%q is no %s of a set, or is given twice", value, key)
		}
	}
	if d.State != "" && (d.Load != "" || d.Save != "") {
		return faultf(at, "state excludes load and save")
	}
	return nil
}

func (d *SetOptions) print(b []byte) []byte {
	for _, o := range [...]struct{ key, value string }{
		{"type", d.Type}, {"load", d.Load}, {"save", d.Save}, {"state", d.State}, {"format", d.Format},
		{"enrichment_key", d.EnrichmentKey}, {"value_key", d.ValueKey}, {"array_key", d.ArrayKey},
	} {
		if o.value != "" {
			b = append(append(append(append(b, ", "...), o.key...), ' '), o.value...)
		}
	}
	if d.RemoveKey {
		b = append(b, ", remove_key"...)
	}
	if d.MemoryCap > 0 {
		b = appendUint(append(b, ", memcap "...), d.MemoryCap)
	}
	if d.HashSize > 0 {
		b = appendUint(append(b, ", hashsize "...), uint64(d.HashSize))
	}
	return append(b, "; "...)
}

func (d *Dataset) print(b []byte, _ *Rule) []byte {
	b = append(append(append(b, "dataset:"...), stateOps[d.Op]...), ',')
	return d.SetOptions.print(append(b, d.Name...))
}

func (d *DataRep) print(b []byte, _ *Rule) []byte {
	b = append(append(append(b, "datarep:"...), d.Name...), ", "...)
	b = append(b, map[Op]string{Less: "<", Greater: ">", Equal: "="}[d.Op]...)
	b = appendUint(append(b, ", "...), d.A)
	return d.SetOptions.print(b)
}

// IPRep compares the reputation that a list of addresses gives.
type IPRep struct {
	Side     Side // OfServer stands for the destination, OfClient for the source
	Category string
	Check    StateOp // StateIsSet or StateIsNotSet; StateSet: Compare counts
	Compare
}

func (*IPRep) Keyword() string { return "iprep" }
func (*IPRep) condition()      {}

var repSides = []string{"dst", "src", "both", "any"}

func (r *IPRep) print(b []byte) []byte {
	b = append(append(append(append(b, "iprep:"...), repSides[r.Side]...), ','), r.Category...)
	if r.Check != StateSet {
		return append(append(b, ','), stateOps[r.Check]...)
	}
	b = append(append(b, ','), map[Op]string{Less: "<", Greater: ">", Equal: "=", LessEqual: "<=", GreaterEqual: ">=", NotEqual: "!="}[r.Op]...)
	return appendUint(append(b, ','), r.A)
}

func parseIPRep(p *parser, o *option) error {
	f, rest, more, err := o.fields(3, "side, category, comparison, value")
	if err != nil {
		return err
	}
	side, ok := indexOf(repSides, f[0])
	if !ok {
		return faultf(o.valueAt, "%q is no side: any, both, src or dst", f[0])
	}
	if !isName(f[1]) {
		return faultf(o.valueAt, "%q cannot name a category", f[1])
	}
	r := &IPRep{Side: Side(side), Category: f[1], Check: StateSet}
	if !more {
		op, ok := indexOf(stateOps[:2], f[2])
		if !ok {
			return faultf(o.valueAt, "iprep is written side, category, comparison, value or side, category, isset or isnotset")
		}
		r.Check = StateOp(op)
		return p.addCondition(r, 0)
	}
	op, left := symbol(f[2])
	v, ok := number(trim(rest))
	if left != "" || f[2] == "" || !ok || v > 127 {
		return faultf(o.valueAt, "iprep compares by < > = <= >= or != with a reputation from 0 to 127")
	}
	r.Compare = Compare{Op: op, A: v}
	return p.addCondition(r, 0)
}
