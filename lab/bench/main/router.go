package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// load sends rows of the day that ends with until, as routers that come back
// send what they have spooled, and returns when all are acknowledged.
func (c *cloud) load(ctx context.Context, rows int, until time.Time) (time.Duration, error) {
	pem, err := os.ReadFile(filepath.Join(c.data, "ca.pem"))
	if err != nil {
		return 0, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return 0, errors.New("ca.pem holds no certificate")
	}
	conn, err := grpc.NewClient(c.grpc, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13})))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	begun := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for i, key := range c.keys {
		g.Go(func() error {
			r := router{rnd: rand.New(rand.NewPCG(1, uint64(i))), until: until, batches: rows / len(c.keys) / analyticsBatch}
			if err := r.run(ctx, ngfwv1.NewLinkServiceClient(conn), key); err != nil {
				return fmt.Errorf("router %d: %w", i, err)
			}
			return nil
		})
	}
	err = g.Wait()
	return time.Since(begun), err
}

// router is one agent with a day in its spool.
type router struct {
	rnd     *rand.Rand
	until   time.Time
	batches int
	window  int
}

func (r *router) run(ctx context.Context, link ngfwv1.LinkServiceClient, key string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := link.Connect(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&ngfwv1.AgentMessage{Id: "1", Payload: &ngfwv1.AgentMessage_Auth{Auth: &ngfwv1.Auth{ApiKey: key, AgentVersion: "bench", Protocol: 1}}}); err != nil {
		return err
	}
	if err := stream.Send(&ngfwv1.AgentMessage{Id: "2", Payload: &ngfwv1.AgentMessage_SpoolState{SpoolState: &ngfwv1.SpoolState{}}}); err != nil {
		return err
	}
	acknowledged := make(chan uint64, 64)
	failed := make(chan error, 1)
	positioned := make(chan int, 1)
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			switch {
			case m.GetAuthFail() != nil:
				failed <- errors.New(m.GetAuthFail().Error)
				return
			case m.GetError() != nil:
				failed <- errors.New(m.GetError().Message)
				return
			case m.GetSpoolPosition() != nil:
				positioned <- int(m.GetSpoolPosition().WindowBatches)
			case m.GetBatchAck() != nil:
				acknowledged <- m.GetBatchAck().Number
			}
		}
	}()
	select {
	case r.window = <-positioned:
	case err := <-failed:
		return err
	}
	if r.window == 0 {
		r.window = 8
	}
	var sent, done uint64
	for done < uint64(r.batches) {
		if sent < uint64(r.batches) && sent-done < uint64(r.window) {
			sent++
			b := &ngfwv1.FlowBatch{Epoch: spoolEpoch, Number: sent, Events: r.events(int(sent - 1))}
			if err := stream.Send(&ngfwv1.AgentMessage{Id: "b", Payload: &ngfwv1.AgentMessage_FlowBatch{FlowBatch: b}}); err != nil {
				return fmt.Errorf("%w: %w", err, <-failed)
			}
			continue
		}
		select {
		case done = <-acknowledged:
		case err := <-failed:
			return err
		}
	}
	return nil
}

// spoolEpoch is a ULID; every router has its own epochs.
const spoolEpoch = "01J00000000000000000000000"

const (
	targets    = 100_000 // destinations, the r-th as likely as 1/r
	housemates = 200     // clients
)

// target is the destination of a rank. Its country follows from it.
func target(rank int) netip.Addr {
	n := uint32(rank) * 2654435761 // scattered: neighbours in rank are none in address
	return netip.AddrFrom4([4]byte{byte(20 + n>>24%150), byte(n >> 16), byte(n >> 8), byte(n)})
}

var (
	countries = []string{"US", "US", "US", "DE", "DE", "NL", "IE", "FR", "GB", "SE", "JP", "SG", "BR", "IN", "CA", "PL"}
	services  = []struct {
		app   string
		port  uint32
		proto uint32
		rule  int64
	}{
		{"tls", 443, 6, 1}, {"tls", 443, 6, 1}, {"tls", 443, 6, 1}, {"quic", 443, 17, 2}, {"quic", 443, 17, 2},
		{"http", 80, 6, 3}, {"dns", 53, 17, 4}, {"dns", 53, 17, 4}, {"ntp", 123, 17, 5}, {"ssh", 22, 6, 6}, {"imap", 993, 6, 7}, {"", 27015, 17, 0},
	}
)

// events are the rows of one batch, in the order of time.
func (r *router) events(n int) []*ngfwv1.FlowEvent {
	rnd := r.rnd
	all := make([]ngfwv1.FlowEvent, analyticsBatch)
	out := make([]*ngfwv1.FlowEvent, analyticsBatch)
	step := analyticsDay / time.Duration(r.batches*analyticsBatch)
	at := r.until.Add(-analyticsDay + step*time.Duration(n*analyticsBatch))
	for i := range out {
		e := &all[i]
		rank := int(math.Exp(rnd.Float64() * math.Log(targets)))
		s := services[rnd.IntN(len(services))]
		client := int(housemates * math.Pow(rnd.Float64(), 2))
		at = at.Add(step)
		destination := target(rank).As4()
		e.FlowId, e.TimeNs = rnd.Uint64(), at.UnixNano()
		e.Kind, e.Action = ngfwv1.EventKind(1+rnd.IntN(3)), ngfwv1.Verdict_VERDICT_ACCEPT
		e.InterfaceIn, e.InterfaceOut, e.ZoneFrom, e.ZoneTo = "lan0", "wan0", "LAN", "WAN"
		e.Protocol, e.DestinationPort, e.App, e.RuleId, e.Reason = s.proto, s.port, s.app, s.rule, "rule"
		e.SourceIp, e.SourcePort = []byte{192, 168, 1, byte(client)}, 32768+rnd.Uint32N(28000)
		e.SourceMac = []byte{2, 0, 0, 0, 0, byte(client)}
		e.Hostname = hostnames[client]
		e.DestinationIp = destination[:]
		e.Geo = countries[rank%len(countries)]
		if s.rule != 0 {
			e.RuleName = ruleNames[s.rule]
		}
		e.PolicyRevision, e.Count = 7, 1
		e.BytesSent, e.BytesReceived = 60+rnd.Uint64N(3000), uint64(60*math.Exp(rnd.Float64()*8))
		e.PacketsSent, e.PacketsReceived = 1+e.BytesSent/700, 1+e.BytesReceived/1300
		e.DurationNs = rnd.Int64N(int64(time.Minute))
		if rnd.IntN(16) == 0 {
			e.Kind, e.Action, e.RuleId, e.RuleName = ngfwv1.EventKind_EVENT_KIND_REFUSED, ngfwv1.Verdict_VERDICT_DROP, 8, ruleNames[8]
			e.BytesReceived, e.PacketsReceived, e.DurationNs = 0, 0, 0
			if rnd.IntN(20) == 0 {
				e.Threat = "scan"
			}
		}
		out[i] = e
	}
	return out
}

var hostnames, ruleNames = func() (hosts, rules []string) {
	for i := range housemates + 1 {
		hosts = append(hosts, fmt.Sprint("host-", i))
	}
	for i := range 9 {
		rules = append(rules, fmt.Sprint("rule number ", i))
	}
	return hosts, rules
}()
