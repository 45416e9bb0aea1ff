package rule

// String writes the rule in its canonical form, on one line: parsing it gives
// an equal rule, text and line aside.
func (r *Rule) String() string { return string(r.AppendText(nil)) }

// AppendText appends the canonical form to b.
func (r *Rule) AppendText(b []byte) []byte {
	b = append(append(b, r.Action.String()...), ' ')
	b = append(append(b, r.Protocol.String()...), ' ')
	b = r.Source.print(b)
	b = append(append(append(b, ' '), r.Direction.String()...), ' ')
	b = append(r.Destination.print(b), " ("...)
	if r.Message != "" {
		b = append(quote(append(b, "msg:"...), r.Message), "; "...)
	}
	if r.Requirements != "" {
		b = append(append(append(b, "requires:"...), r.Requirements...), "; "...)
	}
	if r.Unmet == "" {
		b = r.printMatching(b)
	}
	b = r.printMeta(b)
	b[len(b)-1] = ')'
	return b
}

func (e Endpoint) print(b []byte) []byte {
	b = e.Addresses.root.print(b, printAddressLeaf)
	return e.Ports.root.print(append(b, ' '), printPortLeaf)
}

func (r *Rule) printMatching(b []byte) []byte {
	for i, c := range r.Conditions {
		b = append(c.print(b), "; "...)
		if r.Prefilter == i+1 {
			b = append(b, "prefilter; "...)
		}
	}
	// Matches come in the order in which they set and use variables.
	done := make([]int, len(r.Buffers))
	current := -1
	for _, i := range r.order {
		buffer := &r.Buffers[i]
		if i != current {
			if buffer.Kind != payloadKind || current >= 0 {
				b = buffer.printName(b)
			}
			current = i
		}
		b = buffer.Matches[done[i]].print(b, r)
		done[i]++
	}
	for _, e := range r.Effects {
		b = append(e.print(b), "; "...)
	}
	if r.Threshold != nil {
		b = append(r.Threshold.print(b), "; "...)
	}
	if r.Filter != nil {
		b = append(r.Filter.print(b), "; "...)
	}
	switch r.Alert {
	case AlertNever:
		b = append(b, "noalert; "...)
	case AlertAlways:
		b = append(b, "alert; "...)
	}
	return b
}

func (b *Buffer) printName(out []byte) []byte {
	out = append(out, b.Kind.Name...)
	if b.Frame != "" {
		out = append(append(out, ':'), b.Frame...)
	}
	switch {
	case b.ToServer != b.Kind.ToServer:
		out = append(out, ":to_client"...)
	case b.ToClient != b.Kind.ToClient:
		out = append(out, ":to_server"...)
	}
	out = append(out, "; "...)
	for i := range b.Transforms {
		out = b.Transforms[i].print(out)
	}
	return out
}

func (r *Rule) printMeta(b []byte) []byte {
	for _, ref := range r.References {
		b = append(append(append(b, "reference:"...), ref.System...), ',')
		for i := range len(ref.ID) {
			if ref.ID[i] == ';' {
				b = append(b, '\\')
			}
			b = append(b, ref.ID[i])
		}
		b = append(b, "; "...)
	}
	if r.Class != "" {
		b = append(append(append(b, "classtype:"...), r.Class...), "; "...)
	}
	for i, pair := range r.Metadata {
		b = append(b, [...]string{"metadata:", ", "}[min(i, 1)]...)
		b = append(b, pair.Key...)
		if pair.Value != "" {
			b = append(append(b, ' '), pair.Value...)
		}
	}
	if len(r.Metadata) > 0 {
		b = append(b, "; "...)
	}
	switch r.Target {
	case TargetSource:
		b = append(b, "target:src_ip; "...)
	case TargetDestination:
		b = append(b, "target:dest_ip; "...)
	}
	if r.Priority != 0 {
		b = append(appendUint(append(b, "priority:"...), uint64(r.Priority)), "; "...)
	}
	if r.GID != 1 {
		b = append(appendUint(append(b, "gid:"...), uint64(r.GID)), "; "...)
	}
	b = append(appendUint(append(b, "sid:"...), uint64(r.SID)), "; "...)
	if r.Revision != 0 {
		b = append(appendUint(append(b, "rev:"...), uint64(r.Revision)), "; "...)
	}
	return b
}
