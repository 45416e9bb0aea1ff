package api

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"ngfw.sh/cloud/api/operation"
)

// Bounds of the gRPC listener.
const (
	minMessage       = 1 << 20  // a router's flow batch
	messageSpace     = 64 << 10 // around a body or batch
	headerLimit      = 64 << 10 // as of HTTP
	handshakeTimeout = 10 * time.Second
	idleConnection   = 5 * time.Minute // without a call
)

// register makes both gRPC servers and lists what they serve.
func (s *Server) register(c *chain) (ops []*operation.Operation, bindings [][]*operation.Binding, err error) {
	s.inside = grpc.NewServer(
		grpc.UnaryInterceptor(c.unary(true)), grpc.StreamInterceptor(c.stream(true)),
		grpc.MaxRecvMsgSize(int(4*s.cfg.BodyLimit)), grpc.MaxSendMsgSize(maxAnswer),
		grpc.InitialWindowSize(streamWindow), grpc.InitialConnWindowSize(maxAnswer),
	)
	options := []grpc.ServerOption{
		grpc.UnaryInterceptor(c.unary(false)), grpc.StreamInterceptor(c.stream(false)),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second, MaxConnectionIdle: idleConnection}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.MaxConcurrentStreams(256),
		// Before anybody has said who it is: a message or a header takes memory.
		grpc.MaxRecvMsgSize(int(max(s.cfg.BodyLimit, minMessage)) + messageSpace), grpc.MaxHeaderListSize(headerLimit),
		grpc.ConnectionTimeout(handshakeTimeout), grpc.InTapHandle(c.strangers),
	}
	if s.cfg.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.cfg.TLS)))
	}
	if s.deps.Codec != nil {
		options = append(options, grpc.ForceServerCodecV2(s.deps.Codec))
	}
	s.outside = grpc.NewServer(options...)
	for _, service := range s.deps.Services {
		names := &serviceNames{to: []grpc.ServiceRegistrar{s.inside, s.outside}}
		service.Register(names)
		var bound []*operation.Binding
		for _, name := range names.names {
			list, err := operation.Of(name)
			if err != nil {
				return nil, nil, err
			}
			for _, o := range list {
				c.ops[o.RPC] = o
				bound = append(bound, o.Bindings...)
			}
			ops = append(ops, list...)
		}
		bindings = append(bindings, bound)
	}
	if s.deps.Link == nil {
		return ops, bindings, nil
	}
	names := &serviceNames{to: []grpc.ServiceRegistrar{s.outside}}
	s.deps.Link(names)
	for _, name := range names.names {
		list, err := operation.Of(name)
		if err != nil {
			return nil, nil, err
		}
		for _, o := range list {
			c.ops[o.RPC] = o
		}
	}
	return ops, bindings, nil
}

// serviceNames registers and remembers what.
type serviceNames struct {
	to    []grpc.ServiceRegistrar
	names []string
}

func (s *serviceNames) RegisterService(d *grpc.ServiceDesc, impl any) {
	s.names = append(s.names, d.ServiceName)
	for _, r := range s.to {
		r.RegisterService(d, impl)
	}
}
