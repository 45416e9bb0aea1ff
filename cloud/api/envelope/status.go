package envelope

import (
	"context"
	"encoding/json"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/structpb"

	"ngfw.sh/internal/fault"
)

const domain = "ngfw.sh"

// Classify finds what a caller may know of an error. known is false for an
// error that nobody meant for a caller: the fault is then INTERNAL_ERROR, and
// the error belongs into the log.
func Classify(err error) (f *fault.Error, known bool) {
	if f, ok := fault.As(err); ok {
		return f, true
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Unavailable, "the request took too long; try again").Because(err), true
	}
	if errors.Is(err, context.Canceled) {
		return fault.New(fault.Unavailable, "the request was given up").Because(err), true
	}
	if s, ok := status.FromError(err); ok {
		return classifyStatus(s, err)
	}
	return internal(err), false
}

func internal(err error) *fault.Error {
	return fault.New(fault.Internal, "internal error").Because(err)
}

// classifyStatus reads a fault out of a status that FromFault made, or gives
// the transport's own codes a meaning. The text of any other status is not
// shown: nobody wrote it for a caller.
func classifyStatus(s *status.Status, err error) (*fault.Error, bool) {
	if f := fromDetails(s); f != nil {
		return f, true
	}
	switch s.Code() {
	case codes.DeadlineExceeded:
		return fault.New(fault.Unavailable, "the request took too long; try again").Because(err), true
	case codes.Canceled:
		return fault.New(fault.Unavailable, "the request was given up").Because(err), true
	case codes.Unavailable:
		return fault.New(fault.Unavailable, "the service is not reachable; try again").Because(err), true
	case codes.ResourceExhausted:
		return fault.New(fault.PayloadTooLarge, "the message is too large").Because(err), true
	case codes.Unimplemented:
		return fault.New(fault.Unavailable, "this operation is not available here").Because(err), true
	}
	return internal(err), false
}

// FromFault makes the status that carries f.
func FromFault(f *fault.Error) *status.Status {
	s := status.New(grpcCode(f.Code), f.Message)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: string(f.Code), Domain: domain}}
	if len(f.Fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, field := range f.Fields {
			bad.FieldViolations = append(bad.FieldViolations,
				&errdetails.BadRequest_FieldViolation{Field: field.Path, Description: field.Message})
		}
		details = append(details, bad)
	}
	if extra := asStruct(f.Details); extra != nil {
		details = append(details, extra)
	}
	with, err := s.WithDetails(details...)
	if err != nil {
		return s
	}
	return with
}

func fromDetails(s *status.Status) *fault.Error {
	var f *fault.Error
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == domain {
				f = fault.New(fault.Code(d.GetReason()), "%s", s.Message())
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				if f != nil {
					f.Fields = append(f.Fields, fault.Field{Path: v.GetField(), Message: v.GetDescription()})
				}
			}
		case *structpb.Struct:
			if f != nil {
				f.Details = d.AsMap()
			}
		}
	}
	return f
}

// asStruct goes through JSON, which takes every type that a service may have
// put into Details.
func asStruct(details map[string]any) *structpb.Struct {
	if len(details) == 0 {
		return nil
	}
	text, err := json.Marshal(details)
	if err != nil {
		return nil
	}
	out := &structpb.Struct{}
	if err := out.UnmarshalJSON(text); err != nil {
		return nil
	}
	return out
}
