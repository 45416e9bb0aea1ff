package api

import (
	"context"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Service is one implementation of a generated gRPC server interface, and how
// the generated gateway reaches it over a connection.
type Service struct {
	Register func(grpc.ServiceRegistrar)
	Gateway  func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error
}

// Account serves accounts.
func Account(s ngfwv1.AccountServiceServer) Service {
	return Service{
		Register: func(r grpc.ServiceRegistrar) { ngfwv1.RegisterAccountServiceServer(r, s) },
		Gateway:  ngfwv1.RegisterAccountServiceHandler,
	}
}

// Fleet serves the routers of an organisation.
func Fleet(s ngfwv1.FleetServiceServer) Service {
	return Service{
		Register: func(r grpc.ServiceRegistrar) { ngfwv1.RegisterFleetServiceServer(r, s) },
		Gateway:  ngfwv1.RegisterFleetServiceHandler,
	}
}

// Firewall serves rules, zones and policies.
func Firewall(s ngfwv1.FirewallServiceServer) Service {
	return Service{
		Register: func(r grpc.ServiceRegistrar) { ngfwv1.RegisterFirewallServiceServer(r, s) },
		Gateway:  ngfwv1.RegisterFirewallServiceHandler,
	}
}

// Operations serves work that outlasts a request.
func Operations(s ngfwv1.OperationServiceServer) Service {
	return Service{
		Register: func(r grpc.ServiceRegistrar) { ngfwv1.RegisterOperationServiceServer(r, s) },
		Gateway:  ngfwv1.RegisterOperationServiceHandler,
	}
}

// IDS serves what routers inspect.
func IDS(s ngfwv1.IDSServiceServer) Service {
	return Service{
		Register: func(r grpc.ServiceRegistrar) { ngfwv1.RegisterIDSServiceServer(r, s) },
		Gateway:  ngfwv1.RegisterIDSServiceHandler,
	}
}

// NAT serves NAT rules.
func NAT(s ngfwv1.NATServiceServer) Service {
	return Service{
		Register: func(r grpc.ServiceRegistrar) { ngfwv1.RegisterNATServiceServer(r, s) },
		Gateway:  ngfwv1.RegisterNATServiceHandler,
	}
}

// QoS serves how routers share their uplinks.
func QoS(s ngfwv1.QoSServiceServer) Service {
	return Service{
		Register: func(r grpc.ServiceRegistrar) { ngfwv1.RegisterQoSServiceServer(r, s) },
		Gateway:  ngfwv1.RegisterQoSServiceHandler,
	}
}

// System serves what routers report of themselves.
func System(s ngfwv1.SystemServiceServer) Service {
	return Service{
		Register: func(r grpc.ServiceRegistrar) { ngfwv1.RegisterSystemServiceServer(r, s) },
		Gateway:  ngfwv1.RegisterSystemServiceHandler,
	}
}

// Traffic serves recorded and live flows.
func Traffic(s ngfwv1.TrafficServiceServer) Service {
	return Service{
		Register: func(r grpc.ServiceRegistrar) { ngfwv1.RegisterTrafficServiceServer(r, s) },
		Gateway:  ngfwv1.RegisterTrafficServiceHandler,
	}
}

// Alert serves recorded and live alerts.
func Alert(s ngfwv1.AlertServiceServer) Service {
	return Service{
		Register: func(r grpc.ServiceRegistrar) { ngfwv1.RegisterAlertServiceServer(r, s) },
		Gateway:  ngfwv1.RegisterAlertServiceHandler,
	}
}

// DNSHistory serves recorded DNS queries.
func DNSHistory(s ngfwv1.DnsHistoryServiceServer) Service {
	return Service{
		Register: func(r grpc.ServiceRegistrar) { ngfwv1.RegisterDnsHistoryServiceServer(r, s) },
		Gateway:  ngfwv1.RegisterDnsHistoryServiceHandler,
	}
}

// Link serves agents: what Deps.Link takes.
func Link(s ngfwv1.LinkServiceServer) func(grpc.ServiceRegistrar) {
	return func(r grpc.ServiceRegistrar) { ngfwv1.RegisterLinkServiceServer(r, s) }
}
