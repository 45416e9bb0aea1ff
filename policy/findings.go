package policy

import (
	"errors"
	"fmt"
	"strings"

	"ngfw.sh/internal/fault"
)

// maxFindings bounds the fields of one error: enough to mend an input by, not
// so many that a broken file becomes a huge answer.
const maxFindings = 100

// findings collects what is wrong with an input, so that one answer names all
// of it.
type findings struct {
	fields    []fault.Field
	left      int  // findings beyond maxFindings
	shape     bool // one of them is an unknown field or a wrong type
	conflicts int  // those that are conflicts between resources
}

func (f *findings) add(path, format string, args ...any) {
	if len(f.fields) == maxFindings {
		f.left++
		return
	}
	f.fields = append(f.fields, fault.Field{Path: path, Message: fmt.Sprintf(format, args...)})
}

// misshapen records an unknown field or a wrong type.
func (f *findings) misshapen(path, format string, args ...any) {
	f.shape = true
	f.add(path, format, args...)
}

// conflict records what is fine by itself but taken already.
func (f *findings) conflict(path, format string, args ...any) {
	f.conflicts++
	f.add(path, format, args...)
}

// failed records err, if there is one.
func (f *findings) failed(path string, err error) bool {
	if err != nil {
		f.add(path, "%s", err.Error())
	}
	return err != nil
}

// err is nil where nothing was found. It is a Conflict only when nothing else
// is wrong: a resubmission would still fail otherwise.
func (f *findings) err() error {
	if len(f.fields) == 0 {
		return nil
	}
	if f.left > 0 {
		last := &f.fields[len(f.fields)-1]
		last.Message += fmt.Sprintf(" (and %d more errors)", f.left)
	}
	e := fault.InvalidFields(f.fields...)
	switch {
	case f.shape:
		e.Code = fault.BadRequest
	case f.conflicts == len(f.fields)+f.left:
		e.Code = fault.Conflict
	}
	return e
}

// Relative makes the paths of a fault that lie under prefix ("rules[3]")
// relative to it ("rules[3].source" becomes "source"), for an answer about one
// resource that was judged as a part of its policy. Other errors and other
// paths stay as they are.
func Relative(err error, prefix string) error {
	var e *fault.Error
	if !errors.As(err, &e) {
		return err
	}
	relative := *e
	relative.Fields = make([]fault.Field, len(e.Fields))
	for i, field := range e.Fields {
		if rest, ok := strings.CutPrefix(field.Path, prefix+"."); ok {
			field.Path = rest
		}
		relative.Fields[i] = field
	}
	return &relative
}
