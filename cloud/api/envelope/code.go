// Package envelope owns how a failure looks from outside: the fault's way
// through a gRPC status and back, the HTTP status of each code, the JSON
// envelope, and its RFC 9457 form.
//
// A gRPC status carries a fault in the standard details (google.rpc.ErrorInfo,
// BadRequest, and a Struct for the rest), so that a gRPC client reads the same
// code and fields as a REST client. The package holds no state.
package envelope

import (
	"net/http"

	"google.golang.org/grpc/codes"

	"ngfw.sh/internal/fault"
)

// Codes of the transport alone; no service makes them.
const (
	MethodNotAllowed fault.Code = "METHOD_NOT_ALLOWED"
	UnsupportedMedia fault.Code = "UNSUPPORTED_MEDIA_TYPE"
	UpgradeRequired  fault.Code = "UPGRADE_REQUIRED"
	Timeout          fault.Code = "REQUEST_TIMEOUT" // the body did not arrive
)

type meaning struct {
	http int
	grpc codes.Code
}

var meanings = map[fault.Code]meaning{
	fault.BadRequest:         {http.StatusBadRequest, codes.InvalidArgument},
	fault.InvalidConfig:      {http.StatusBadRequest, codes.InvalidArgument},
	fault.Unauthorized:       {http.StatusUnauthorized, codes.Unauthenticated},
	fault.Forbidden:          {http.StatusForbidden, codes.PermissionDenied},
	fault.PlanLimit:          {http.StatusForbidden, codes.PermissionDenied},
	fault.NotFound:           {http.StatusNotFound, codes.NotFound},
	fault.Conflict:           {http.StatusConflict, codes.AlreadyExists},
	fault.PreconditionFailed: {http.StatusPreconditionFailed, codes.FailedPrecondition},
	fault.PayloadTooLarge:    {http.StatusRequestEntityTooLarge, codes.ResourceExhausted},
	fault.RateLimit:          {http.StatusTooManyRequests, codes.ResourceExhausted},
	fault.DeviceOffline:      {http.StatusServiceUnavailable, codes.Unavailable},
	fault.Unavailable:        {http.StatusServiceUnavailable, codes.Unavailable},
	fault.Internal:           {http.StatusInternalServerError, codes.Internal},
	MethodNotAllowed:         {http.StatusMethodNotAllowed, codes.Unimplemented},
	UnsupportedMedia:         {http.StatusUnsupportedMediaType, codes.InvalidArgument},
	UpgradeRequired:          {http.StatusUpgradeRequired, codes.InvalidArgument},
	Timeout:                  {http.StatusRequestTimeout, codes.DeadlineExceeded},
}

// HTTPStatus is the status of a code; an unknown code is an internal error.
func HTTPStatus(c fault.Code) int {
	if m, ok := meanings[c]; ok {
		return m.http
	}
	return http.StatusInternalServerError
}

func grpcCode(c fault.Code) codes.Code {
	if m, ok := meanings[c]; ok {
		return m.grpc
	}
	return codes.Internal
}

// Codes lists every code that belongs to an HTTP status.
func Codes(status int) []fault.Code {
	var out []fault.Code
	for c, m := range meanings {
		if m.http == status {
			out = append(out, c)
		}
	}
	return out
}
