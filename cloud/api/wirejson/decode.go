package wirejson

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/internal/fault"
)

// maxProblems bounds how many wrong fields one answer lists.
const maxProblems = 20

// Options say how to read.
type Options struct {
	// KeepReadOnly takes read-only fields over instead of ignoring them.
	KeepReadOnly bool
	// Hidden fields of the outermost message are unknown to the input: they
	// come from the path or from a header.
	Hidden func(protoreflect.FieldDescriptor) bool
}

// Decode reads one JSON document into m. The error is a *fault.Error that lists
// the wrong fields by their JSON path.
func (o Options) Decode(data []byte, m proto.Message) error {
	d := &decoder{s: scanner{src: data}, Options: o}
	return d.document(func() error { return d.message(m.ProtoReflect(), nil) })
}

// decoder holds one document being read. Syntax ends the reading; what is only
// wrong is collected and read over.
type decoder struct {
	Options
	s        scanner
	problems []fault.Field
}

var errEnough = errors.New("too many problems")

func (d *decoder) document(value func() error) error {
	err := value()
	if err == nil && d.s.next() != 0 {
		err = d.s.fail("text after the end of the JSON document")
	} else if err == nil && d.s.pos < len(d.s.src) {
		err = d.s.unexpected("the end")
	}
	var syntax *syntaxError
	if errors.As(err, &syntax) {
		line, column := d.s.where(syntax.pos)
		return fault.New(fault.BadRequest, "malformed JSON at line %d, column %d: %s", line, column, syntax.msg)
	}
	if len(d.problems) == 0 {
		return err
	}
	f := fault.New(fault.BadRequest, "%s", d.problems[0].Message)
	f.Fields = d.problems
	return f
}

func (d *decoder) problem(at *path, format string, args ...any) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, fault.Field{Path: at.String(), Message: fmt.Sprintf(format, args...)})
	}
}

// reject notes a problem with the value that starts here and reads over it.
func (d *decoder) reject(at *path, format string, args ...any) error {
	d.problem(at, format, args...)
	if len(d.problems) >= maxProblems {
		return errEnough
	}
	return d.s.skip()
}

func (d *decoder) wrong(at *path, wanted string) error {
	if kind := d.s.kind(); kind != "something else" {
		return d.reject(at, "must be %s, not %s", wanted, kind)
	}
	return d.s.unexpected("a value")
}

func (d *decoder) message(m protoreflect.Message, at *path) error {
	if ok, err := d.known(m, at); ok {
		return err
	}
	if d.s.next() != '{' {
		return d.wrong(at, "an object")
	}
	seen := map[protoreflect.FieldNumber]bool{}
	return d.s.members(func(name string) error {
		here := at.member(name)
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if fd == nil || at == nil && d.Hidden != nil && d.Hidden(fd) {
			return d.reject(here, "unknown field %s%s", quote(name), d.suggest(m.Descriptor(), name, at == nil))
		}
		if seen[fd.Number()] {
			return d.reject(here, "given twice")
		}
		seen[fd.Number()] = true
		if ReadOnly(fd) && !d.KeepReadOnly {
			return d.s.skip()
		}
		return d.field(m, fd, here)
	})
}

func (d *decoder) field(m protoreflect.Message, fd protoreflect.FieldDescriptor, at *path) error {
	isValue := fd.Message() != nil && fd.Message().FullName() == valueName && !fd.IsList() && !fd.IsMap()
	if d.s.next() == 'n' && !isValue {
		if !fd.HasPresence() {
			return d.reject(at, "must not be null")
		}
		_, err := d.s.word()
		return err
	}
	if one := fd.ContainingOneof(); one != nil && !one.IsSynthetic() {
		if other := m.WhichOneof(one); other != nil {
			return d.reject(at, "excludes %q", other.Name())
		}
	}
	switch {
	case fd.IsMap():
		return d.mapping(m.Mutable(fd).Map(), fd, at)
	case fd.IsList():
		return d.list(m.Mutable(fd).List(), fd, at)
	case fd.Message() != nil:
		return d.message(m.Mutable(fd).Message(), at)
	}
	v, err := d.scalar(fd, at)
	if v.IsValid() && err == nil {
		m.Set(fd, v)
	}
	return err
}

func (d *decoder) list(l protoreflect.List, fd protoreflect.FieldDescriptor, at *path) error {
	if d.s.next() != '[' {
		return d.wrong(at, "an array")
	}
	return d.s.elements(func(i int) error {
		if fd.Message() != nil {
			return d.message(l.AppendMutable().Message(), at.element(i))
		}
		v, err := d.scalar(fd, at.element(i))
		if v.IsValid() && err == nil {
			l.Append(v)
		}
		return err
	})
}

func (d *decoder) mapping(m protoreflect.Map, fd protoreflect.FieldDescriptor, at *path) error {
	if d.s.next() != '{' {
		return d.wrong(at, "an object")
	}
	return d.s.members(func(name string) error {
		here := at.member(name)
		key, ok := mapKey(fd.MapKey(), name)
		if !ok {
			return d.reject(here, "%s is not a valid key", quote(name))
		}
		if m.Has(key) {
			return d.reject(here, "given twice")
		}
		if fd.MapValue().Message() != nil {
			return d.message(m.Mutable(key).Message(), here)
		}
		v, err := d.scalar(fd.MapValue(), here)
		if v.IsValid() && err == nil {
			m.Set(key, v)
		}
		return err
	})
}
