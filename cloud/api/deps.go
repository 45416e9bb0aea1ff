package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/identity"
)

// Authenticator finds who holds a token. A token that is wrong, expired or
// revoked is a fault UNAUTHORIZED.
type Authenticator interface {
	Authenticate(ctx context.Context, bearer string) (identity.Caller, error)
}

// Devices finds the router that a caller means; id "" is the caller's only one.
// Errors are faults: several 400, none or unknown 404, somebody else's 403.
type Devices interface {
	Resolve(ctx context.Context, caller identity.Caller, id string) (deviceID string, err error)
}

// Dashboard serves the pages of the dashboard.
type Dashboard interface {
	http.Handler
	// Has says whether there is something to serve for the request.
	Has(*http.Request) bool
}

// Deps are the parts behind the API.
type Deps struct {
	Services      []Service
	Link          func(grpc.ServiceRegistrar) // the agents' service, on the gRPC listener alone; nil for none
	Codec         encoding.CodecV2            // of that listener; nil: gRPC's own
	Authenticator Authenticator
	Devices       Devices

	// Requests keep answers by Idempotency-Key; nil: a restart forgets them.
	Requests Requests
	// Validate looks at every request after authorisation and before its
	// service; nil for none. Its errors are faults.
	Validate func(context.Context, proto.Message) error
	// Health looks at the parts by name: nil is well. Of an error only a
	// fault's text is shown. nil for no parts.
	Health func(context.Context) map[string]error
	// Public handlers by exact path, without a token: /.well-known/jwks.json.
	Public map[string]http.Handler

	// Dashboard is what browsers see outside of /api; nil for a plain page.
	Dashboard Dashboard

	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
	Now        func() time.Time // nil: time.Now
}
