// Package devicelink owns the cloud's end of the routers' connections: who is
// connected, what each was told and answered, and the way of a flow batch from
// the wire to durable storage and back as an acknowledgement.
//
// Invariants: nothing is looked at before Auth, and a refusal says nothing about
// its reason. A device has one live connection; a newer one replaces the older.
// Batches of a device are stored one after the other in the order of the wire,
// and acknowledged only after Ingest has said that they are durable; a new
// connection asks Ingest where it stands only after the older one has stopped
// storing. What a router can make the cloud hold is bounded: queues, message
// sizes, open attempts.
//
// Concurrency: Server is safe for concurrent use. Each connection has goroutines
// of its own for receiving, sending, storing, reporting and configuration, so
// that a slow store or a slow database delays only its own matter.
//
// It knows no database, no meaning of a configuration and no transport beyond
// Carrier: Connect is the gRPC one.
package devicelink

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Config bounds what a router may do.
type Config struct {
	AuthTimeout   time.Duration
	KeepAlive     time.Duration // ping; a router silent for two and a half of it is gone
	WindowBatches int           // not acknowledged, told to the router
	WindowBytes   int
	MaxBatch      int // bytes of a flow batch
	MaxEvents     int // rows of a batch
	MaxMessage    int // bytes of any other message
	MaxEpochs     int // of a connection

	AttemptBurst    int           // authentications of an address at once, and failed ones in a row
	AttemptInterval time.Duration // and one more after each
	MaxPending      int           // connections that have not authenticated, all
	MaxPendingPeer  int           // of one address

	RetryMin, RetryMax time.Duration // between attempts to store, to read a document
}

// DefaultConfig is complete.
func DefaultConfig() Config {
	return Config{
		AuthTimeout:     10 * time.Second,
		KeepAlive:       30 * time.Second,
		WindowBatches:   32,
		WindowBytes:     4 << 20,
		MaxBatch:        1 << 20,
		MaxEvents:       10_000,
		MaxMessage:      256 << 10,
		MaxEpochs:       4096,
		AttemptBurst:    64,
		AttemptInterval: 3 * time.Second,
		MaxPending:      4096,
		MaxPendingPeer:  64,
		RetryMin:        100 * time.Millisecond,
		RetryMax:        10 * time.Second,
	}
}

// Device is an authenticated router.
type Device struct{ ID, OrgID, Plan string }

// Devices knows the keys.
type Devices interface {
	// AuthenticateDevice finds the device of a key. A fault UNAUTHORIZED,
	// FORBIDDEN or NOT_FOUND is a refusal; any other error is a trouble of the
	// cloud, and the router will come again soon.
	AuthenticateDevice(ctx context.Context, apiKey string) (Device, error)
}

// Hello is what a router says of itself when it connects.
type Hello struct {
	AgentVersion    string
	FirmwareVersion string
	Address         string
	At              time.Time
	Applied         map[string]int64 // section → version
}

// Reports takes what routers tell. Calls for one device come one at a time, and
// Connected and Disconnected alternate.
type Reports interface {
	Connected(ctx context.Context, deviceID string, hello Hello) error
	Disconnected(ctx context.Context, deviceID string) error
	Status(ctx context.Context, deviceID string, s *ngfwv1.Status) error
	Metrics(ctx context.Context, deviceID string, m *ngfwv1.Metrics) error
	// ConfigApplied says that the router runs this version of the section;
	// section "full": of the whole document.
	ConfigApplied(ctx context.Context, deviceID, section string, version int64) error
	ConfigFailed(ctx context.Context, deviceID, section string, version int64, message, field string) error
}

// Documents holds what a router should run.
type Documents interface {
	Document(ctx context.Context, deviceID string) (version int64, sections map[string][]byte, mode string, err error)
}

// Ingest stores flow batches. Their flow events may not have been read yet:
// flowbatch.Events reads them.
type Ingest interface {
	// Positions tells the last stored batch of each spool epoch of the device.
	Positions(ctx context.Context, deviceID string) (map[string]uint64, error)
	// Store takes batches in their order and says how many of them, from the
	// first on, are durable. It may be called again with the others after an
	// error that left the outcome open, and must then not store any twice. A
	// fault BAD_REQUEST or INVALID_CONFIG says that the first of the others can
	// never be stored. Calls for one device are made one after the other.
	Store(ctx context.Context, orgID, deviceID, plan string, batches []*ngfwv1.FlowBatch) (stored int, err error)
	// Show gives a batch that is not stored to who watches now; Store gets it
	// later. It is called in the order of a device's batches.
	Show(orgID, deviceID, plan string, b *ngfwv1.FlowBatch)
}

// Deps is what the server needs; Logger, Registerer and Now may be left out.
type Deps struct {
	Devices    Devices
	Reports    Reports
	Documents  Documents
	Ingest     Ingest
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

// Server implements ngfwv1.LinkServiceServer.
type Server struct {
	ngfwv1.UnimplementedLinkServiceServer
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics
	door    *door

	mu       sync.Mutex // guards what follows
	sessions map[string]*session
	closing  bool
	open     sync.WaitGroup // sessions, until their clean-up is done
}

// New makes a server; it can serve at once.
func New(cfg Config, deps Deps) (*Server, error) {
	if deps.Devices == nil || deps.Reports == nil || deps.Documents == nil || deps.Ingest == nil {
		return nil, errors.New("devicelink: devices, reports, documents and ingest are required")
	}
	if cfg.WindowBatches <= 0 || cfg.WindowBytes < cfg.MaxBatch || cfg.MaxBatch <= 0 || cfg.KeepAlive <= 0 || cfg.AuthTimeout <= 0 {
		return nil, errors.New("devicelink: bounds and intervals must be positive, and a batch must fit into the window")
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Registerer == nil {
		deps.Registerer = prometheus.NewRegistry()
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	m, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, deps: deps, log: deps.Logger, metrics: m, door: newDoor(cfg, deps.Now), sessions: map[string]*session{}}, nil
}

// Run waits for the context, then ends every connection and waits until their
// last word is reported. Nobody is let in afterwards.
func (s *Server) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.closing = true
	for _, ss := range s.sessions {
		ss.cancel(errShutdown)
	}
	s.mu.Unlock()
	s.open.Wait()
	return nil
}

// Disconnect ends the device's connection now: it was removed, or its key
// changed. The router hears a refusal and comes back late.
func (s *Server) Disconnect(deviceID string) {
	if ss := s.session(deviceID); ss != nil {
		ss.cancel(errDisconnected)
	}
}

// Wanted says that the device's document has changed. Calls that come while one
// is being served are served as one. A router that is away gets the document
// when it connects.
func (s *Server) Wanted(deviceID string) {
	if ss := s.session(deviceID); ss != nil {
		ss.push.wake()
	}
}

// Online says whether the device is connected to this process.
func (s *Server) Online(deviceID string) bool { return s.session(deviceID) != nil }

// Ask sends a request (status_request, exec, reboot …) and waits for its reply.
// The id is chosen here. A device that is away is the fault DEVICE_OFFLINE.
func (s *Server) Ask(ctx context.Context, deviceID string, request *ngfwv1.CloudMessage) (*ngfwv1.AgentMessage, error) {
	ss := s.session(deviceID)
	if ss == nil {
		return nil, offline()
	}
	return ss.ask(ctx, request)
}

func offline() error { return fault.New(fault.DeviceOffline, "the router is not connected") }

// session is the live one of a device.
func (s *Server) session(deviceID string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ss := s.sessions[deviceID]; ss != nil && ss.ctx.Err() == nil {
		return ss
	}
	return nil
}

// register makes the session the device's live one.
func (s *Server) register(ss *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return errShutdown
	}
	if old := s.sessions[ss.device.ID]; old != nil {
		if old.ctx.Err() == nil {
			s.log.Warn("connection replaced by a newer one", "device", ss.device.ID, "old", old.hello.Address, "new", ss.hello.Address)
			s.metrics.replaced.Inc()
		}
		old.cancel(errReplaced)
		ss.predecessor = old.done
	}
	s.sessions[ss.device.ID] = ss
	s.open.Add(1)
	return nil
}
