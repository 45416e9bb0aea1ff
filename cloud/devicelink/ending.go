package devicelink

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ngfw.sh/internal/fault"
)

// ending is why a connection ends, and what the router hears of it: a fault for
// the chain of interceptors in front, which shows no other text, and a status
// for gRPC without one.
type ending struct {
	code  codes.Code
	fault *fault.Error
}

func (e *ending) Error() string              { return e.fault.Message }
func (e *ending) Unwrap() error              { return e.fault }
func (e *ending) GRPCStatus() *status.Status { return status.New(e.code, e.fault.Message) }

func end(grpc codes.Code, code fault.Code, format string, args ...any) error {
	return &ending{grpc, fault.New(code, format, args...)}
}

var (
	errShutdown     = end(codes.Unavailable, fault.Unavailable, "the cloud restarts")
	errDisconnected = end(codes.PermissionDenied, fault.Forbidden, "disconnected: the device was removed or its key changed")
	errReplaced     = end(codes.Aborted, fault.Conflict, "replaced by a newer connection of this device")
	errSilent       = end(codes.DeadlineExceeded, fault.Unavailable, "the router was silent for too long")
	errRefused      = end(codes.Unauthenticated, fault.Unauthorized, "authentication failed")
	errTrouble      = end(codes.Unavailable, fault.Unavailable, "the cloud cannot authenticate now")
	errCrowded      = end(codes.ResourceExhausted, fault.RateLimit, "too many attempts")
)

func tooMuch(format string, args ...any) error {
	return end(codes.InvalidArgument, fault.BadRequest, format, args...)
}
