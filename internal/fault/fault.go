// Package fault owns the errors that a caller may read: a code of the API, a
// safe text, and the place in the input that is wrong. Everything else about a
// failure is for the log.
//
// It is pure and knows no transport: package cloud/api turns a fault into an
// HTTP status and the error envelope, commands print it.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Code is an error code of the specification.
type Code string

const (
	BadRequest         Code = "BAD_REQUEST"         // malformed input
	InvalidConfig      Code = "INVALID_CONFIG"      // well-formed input that means nothing
	Unauthorized       Code = "UNAUTHORIZED"        //
	Forbidden          Code = "FORBIDDEN"           //
	NotFound           Code = "NOT_FOUND"           //
	Conflict           Code = "CONFLICT"            //
	PreconditionFailed Code = "PRECONDITION_FAILED" // stale If-Match
	DeviceOffline      Code = "DEVICE_OFFLINE"      //
	PlanLimit          Code = "PLAN_LIMIT"          //
	RateLimit          Code = "RATE_LIMIT"          //
	PayloadTooLarge    Code = "PAYLOAD_TOO_LARGE"   //
	Unavailable        Code = "UNAVAILABLE"         // a part of the service is down; a retry may help
	Internal           Code = "INTERNAL_ERROR"      // never with internals in the text
)

// Field is one wrong place: the JSON path ("rules[3].source", "port") and what
// is wrong there, with the remedy where it is not obvious.
type Field struct {
	Path    string `json:"field"`
	Message string `json:"message"`
}

// Error is a failure that may be shown to the caller.
type Error struct {
	Code    Code
	Message string
	Fields  []Field
	Details map[string]any // further members of the envelope's details
	cause   error
}

// New makes a fault with a formatted safe text.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an InvalidConfig fault for one field.
func Invalid(path, format string, args ...any) *Error {
	return InvalidFields(Field{Path: path, Message: fmt.Sprintf(format, args...)})
}

// InvalidFields makes an InvalidConfig fault for the given fields, the first of
// which gives the text.
func InvalidFields(fields ...Field) *Error {
	e := &Error{Code: InvalidConfig, Message: "invalid configuration", Fields: fields}
	if len(fields) > 0 {
		e.Message = fields[0].Message
	}
	return e
}

// Because attaches the cause, for the log alone.
func (e *Error) Because(err error) *Error {
	e.cause = err
	return e
}

// Field is the first wrong place, or "".
func (e *Error) Field() string {
	if len(e.Fields) == 0 {
		return ""
	}
	return e.Fields[0].Path
}

// Error lists every field on one line: what a command prints.
func (e *Error) Error() string {
	if len(e.Fields) == 0 {
		return e.Message
	}
	lines := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		lines[i] = f.Path + ": " + f.Message
	}
	return strings.Join(lines, "; ")
}

func (e *Error) Unwrap() error { return e.cause }

// As finds a fault in err's chain.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// Is says whether err's chain holds a fault with this code.
func Is(err error, code Code) bool {
	e, ok := As(err)
	return ok && e.Code == code
}
