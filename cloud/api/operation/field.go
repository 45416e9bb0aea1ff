package operation

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// DeviceField is the request's device_id field, nil if it has none.
func (o *Operation) DeviceField() protoreflect.FieldDescriptor {
	return o.Method.Input().Fields().ByName("device_id")
}

// FilterField is the message field that holds a stream's filter, nil if the
// operation is no stream with one.
func (o *Operation) FilterField() protoreflect.FieldDescriptor {
	fd := o.Method.Input().Fields().ByName("filter")
	if !o.Stream || fd == nil || fd.Message() == nil {
		return nil
	}
	return fd
}

// TakesDevice says whether X-Device-ID and ?device_id= mean something.
func (o *Operation) TakesDevice() bool {
	if o.DeviceField() != nil {
		return true
	}
	f := o.FilterField()
	return f != nil && f.Message().Fields().ByName("device_id") != nil
}

// notLive are the fields of a log request that select a page of the past; a
// live stream has no use for them.
var notLive = []protoreflect.Name{"limit", "offset", "count", "from", "to"}

// Live says whether a field of a stream's filter can be set.
func Live(fd protoreflect.FieldDescriptor) bool { return !slices.Contains(notLive, fd.Name()) }

// Query lists the fields that query parameters fill. device_id is not among
// them: it selects the router in another way (see TakesDevice).
func (b *Binding) Query() []protoreflect.FieldDescriptor {
	from, keep := b.Method.Input().Fields(), func(protoreflect.FieldDescriptor) bool { return true }
	if f := b.FilterField(); f != nil {
		from, keep = f.Message().Fields(), Live
	}
	var out []protoreflect.FieldDescriptor
	for i := range from.Len() {
		fd := from.Get(i)
		if b.Body == "*" || string(fd.Name()) == b.Body || b.inPath(fd) || fd.Name() == "device_id" ||
			fd.Message() != nil || !keep(fd) {
			continue
		}
		out = append(out, fd)
	}
	return out
}

// Params lists the fields that the path fills, in order.
func (b *Binding) Params() []protoreflect.FieldDescriptor {
	var out []protoreflect.FieldDescriptor
	for _, s := range b.Segments {
		if name, ok := Param(s); ok {
			out = append(out, b.Method.Input().Fields().ByName(protoreflect.Name(name)))
		}
	}
	return out
}

func (b *Binding) inPath(fd protoreflect.FieldDescriptor) bool {
	return slices.Contains(b.Segments, "{"+string(fd.Name())+"}")
}

// HiddenFromBody says whether a body "*" must not hold the field: the path or
// the choice of router gives it.
func (b *Binding) HiddenFromBody(fd protoreflect.FieldDescriptor) bool {
	return b.Body == "*" && fd.Parent() == b.Method.Input() && (b.inPath(fd) || fd.Name() == "device_id")
}
