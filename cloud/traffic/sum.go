package traffic

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// SourceHeader is the answer header that says what was summed: "exact" (rows) or
// "rollup".
const SourceHeader = "x-data-source"

func tellSource(ctx context.Context, source string, err error) error {
	if err == nil {
		// Outside of a gRPC call there is nobody to tell.
		_ = grpc.SetHeader(ctx, metadata.Pairs(SourceHeader, source))
	}
	return err
}

// Stats sums what passed and what did not.
func (s *Service) Stats(ctx context.Context, req *ngfwv1.StatsRequest) (*ngfwv1.TrafficStats, error) {
	return summed(ctx, s, req, s.deps.Log.Stats)
}

// TopClients ranks clients by their bytes.
func (s *Service) TopClients(ctx context.Context, req *ngfwv1.TopRequest) (*ngfwv1.TopClientsResponse, error) {
	list, err := summed(ctx, s, req, s.deps.Log.TopClients)
	return &ngfwv1.TopClientsResponse{Clients: list}, err
}

// TopDestinations ranks destination addresses by bytes.
func (s *Service) TopDestinations(ctx context.Context, req *ngfwv1.TopRequest) (*ngfwv1.TopDestinationsResponse, error) {
	list, err := summed(ctx, s, req, s.deps.Log.TopDestinations)
	return &ngfwv1.TopDestinationsResponse{Destinations: list}, err
}

// TopApplications ranks applications by bytes.
func (s *Service) TopApplications(ctx context.Context, req *ngfwv1.TopRequest) (*ngfwv1.TopApplicationsResponse, error) {
	list, err := summed(ctx, s, req, s.deps.Log.TopApplications)
	return &ngfwv1.TopApplicationsResponse{Applications: list}, err
}

// TopCountries ranks countries by bytes.
func (s *Service) TopCountries(ctx context.Context, req *ngfwv1.TopRequest) (*ngfwv1.TopCountriesResponse, error) {
	list, err := summed(ctx, s, req, s.deps.Log.TopCountries)
	return &ngfwv1.TopCountriesResponse{Countries: list}, err
}

// TopRules ranks rules by the flows they decided.
func (s *Service) TopRules(ctx context.Context, req *ngfwv1.TopRequest) (*ngfwv1.TopRulesResponse, error) {
	list, err := summed(ctx, s, req, s.deps.Log.TopRules)
	return &ngfwv1.TopRulesResponse{Rules: list}, err
}

// TopThreats ranks threats by flows.
func (s *Service) TopThreats(ctx context.Context, req *ngfwv1.TopRequest) (*ngfwv1.TopThreatsResponse, error) {
	list, err := summed(ctx, s, req, s.deps.Log.TopThreats)
	return &ngfwv1.TopThreatsResponse{Threats: list}, err
}

// summed asks within the caller's scope and says what the answer was summed
// from.
func summed[R interface{ GetDeviceId() string }, A any](ctx context.Context, s *Service, req R, ask func(context.Context, Scope, R) (A, string, error)) (A, error) {
	scope, err := s.scope(ctx, req.GetDeviceId())
	if err != nil {
		var none A
		return none, err
	}
	answer, source, err := ask(ctx, scope, req)
	return answer, tellSource(ctx, source, err)
}
