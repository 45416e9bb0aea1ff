package devicelink

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Carrier moves messages of one connection. One goroutine sends and one
// receives. When Serve returns, the owner closes the carrier, and both calls
// must then fail.
type Carrier interface {
	Send(*ngfwv1.CloudMessage) error
	Recv() (*ngfwv1.AgentMessage, error)
}

// Connect implements ngfwv1.LinkServiceServer: the gRPC carrier.
func (s *Server) Connect(stream ngfwv1.LinkService_ConnectServer) error {
	address := ""
	if p, ok := peer.FromContext(stream.Context()); ok {
		address = p.Addr.String()
	}
	return s.Serve(stream.Context(), &grpcCarrier{LinkService_ConnectServer: stream}, address)
}

// grpcCarrier tells the codec which message is the first.
type grpcCarrier struct {
	ngfwv1.LinkService_ConnectServer
	opened bool
}

func (c *grpcCarrier) Recv() (*ngfwv1.AgentMessage, error) {
	if c.opened {
		return c.LinkService_ConnectServer.Recv()
	}
	c.opened = true
	first := &opening{&ngfwv1.AgentMessage{}}
	return first.AgentMessage, c.RecvMsg(first)
}

// ServerOptions are what the gRPC server that carries Connect needs.
func ServerOptions(cfg Config) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(Codec()),
		grpc.MaxRecvMsgSize(max(cfg.MaxBatch, cfg.MaxMessage) + 64<<10),
		grpc.ConnectionTimeout(cfg.AuthTimeout),
		// A router that vanished without a FIN: found also while nothing is sent.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 2 * cfg.KeepAlive, Timeout: cfg.KeepAlive}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: false}),
	}
}

// Serve lives in one connection until it ends; the error is a gRPC status that
// says why. address is the peer's, as host:port.
func (s *Server) Serve(ctx context.Context, c Carrier, address string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	inbox := make(chan *ngfwv1.AgentMessage)
	go receive(ctx, cancel, c, inbox) // ends with the carrier

	ss, err := s.authenticate(ctx, cancel, c, address, inbox)
	if err != nil {
		return err
	}
	return ss.serve(inbox)
}

// receive reads messages until the carrier fails. It reads no further while one
// is not taken: that is the back-pressure.
func receive(ctx context.Context, cancel context.CancelCauseFunc, c Carrier, inbox chan<- *ngfwv1.AgentMessage) {
	for {
		m, err := c.Recv()
		if err != nil {
			cancel(err)
			return
		}
		select {
		case inbox <- m:
		case <-ctx.Done():
			return
		}
	}
}

// authenticate waits for Auth and answers it.
func (s *Server) authenticate(ctx context.Context, cancel context.CancelCauseFunc, c Carrier, address string, inbox <-chan *ngfwv1.AgentMessage) (*session, error) {
	if !s.door.enter(address) {
		s.metrics.auth.WithLabelValues("limited").Inc()
		return nil, errCrowded
	}
	outcome, failed := "refused", true
	defer func() {
		s.door.leave(address, failed)
		s.metrics.auth.WithLabelValues(outcome).Inc()
	}()
	limited, stop := context.WithTimeout(ctx, s.cfg.AuthTimeout)
	defer stop()
	var m *ngfwv1.AgentMessage
	select {
	case m = <-inbox:
	case <-limited.Done():
		outcome = "silent"
		return nil, errRefused
	}
	fail := func(text string, err error) (*session, error) {
		// Nobody waits for a peer that does not read: the status says it too.
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_ = c.Send(&ngfwv1.CloudMessage{Id: m.Id, Payload: &ngfwv1.CloudMessage_AuthFail{AuthFail: &ngfwv1.AuthFail{Error: text}}})
		}()
		select {
		case <-sent:
		case <-limited.Done():
		}
		return nil, err
	}
	auth := m.GetAuth()
	if auth == nil || len(auth.ApiKey) > 256 || len(auth.Applied) > maxSections || len(auth.AgentVersion) > 256 || len(auth.FirmwareVersion) > 256 {
		return fail("authentication failed", errRefused)
	}
	device, err := s.check(limited, auth)
	if err != nil {
		if err == errTrouble {
			outcome, failed = "trouble", false
			return nil, err
		}
		s.log.Warn("router refused", "address", address)
		return fail("authentication failed", errRefused)
	}
	if auth.Protocol != protocolVersion {
		s.log.Warn("router speaks another protocol", "device", device.ID, "protocol", auth.Protocol)
		return fail("this cloud does not speak that version of the agent protocol", status.Error(statusProtocol, "protocol version not supported"))
	}
	ss := newSession(ctx, cancel, s, c, device, Hello{
		AgentVersion: auth.AgentVersion, FirmwareVersion: auth.FirmwareVersion,
		Address: address, At: s.deps.Now(), Applied: auth.Applied,
	})
	if err := s.register(ss); err != nil {
		return nil, err
	}
	// A removal between the check and the registration has found nobody to
	// disconnect. From here on it does, so the second answer is the true one.
	if again, err := s.check(limited, auth); err != nil || again.ID != device.ID {
		defer func() { go ss.cleanUp() }()
		if err == errTrouble {
			outcome, failed = "trouble", false
			return nil, err
		}
		return fail("authentication failed", errRefused)
	}
	outcome, failed = "accepted", false
	ss.authID = m.Id
	return ss, nil
}

// check asks for the key; the error is errRefused or errTrouble.
func (s *Server) check(ctx context.Context, auth *ngfwv1.Auth) (Device, error) {
	device, err := s.deps.Devices.AuthenticateDevice(ctx, auth.ApiKey)
	switch {
	case fault.Is(err, fault.Unauthorized), fault.Is(err, fault.Forbidden), fault.Is(err, fault.NotFound):
		return Device{}, errRefused
	case err != nil:
		s.log.Error("router cannot be authenticated", "error", err)
		return Device{}, errTrouble
	case device.ID == "" || auth.DeviceId != "" && auth.DeviceId != device.ID:
		return Device{}, errRefused
	}
	return device, nil
}
