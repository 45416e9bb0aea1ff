package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"ngfw.sh/lab/bench"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const (
	liveRate    = 10_000 // rows a second
	liveBatches = 10     // a second, as agents close them
	liveReaders = 100    // beside the one without a filter
	liveTime    = 15 * time.Second
	liveEpoch   = "01J00000000000000000000001"
)

// live sends rows at a steady rate and measures how long each takes from the
// router's sending it to the frame at a reader's socket.
func (c *cloud) live(ctx context.Context) ([]bench.Result, error) {
	var device struct {
		APIKey string `json:"api_key"`
	}
	if err := c.call(ctx, "POST", "/api/fleet/devices", map[string]any{"name": "live"}, &device); err != nil {
		return nil, err
	}
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	link, err := connect(ctx, ngfwv1.NewLinkServiceClient(conn), device.APIKey)
	if err != nil {
		return nil, err
	}

	const batches = int(liveTime/time.Second) * liveBatches
	readers := []*reader{{want: batches * liveRate / liveBatches}}
	for i := range liveReaders {
		readers = append(readers, &reader{filter: fmt.Sprintf("&src=10.9.0.%d", i+1), want: batches * (liveRate / liveBatches) / liveReaders})
	}
	g, reading := errgroup.WithContext(ctx)
	for _, r := range readers {
		if err := r.open(ctx, c); err != nil {
			return nil, err
		}
		defer r.conn.CloseNow()
		g.Go(func() error { return r.read(reading) })
	}
	source := router{rnd: rand.New(rand.NewPCG(5, 6)), until: time.Now(), batches: 1}
	tick := time.NewTicker(time.Second / liveBatches)
	defer tick.Stop()
	for n := range batches {
		select {
		case <-tick.C:
		case err := <-link.failed:
			return nil, err
		case <-reading.Done():
			return nil, g.Wait()
		}
		for range len(link.acknowledged) {
			<-link.acknowledged
		}
		events := source.events(0)[:liveRate/liveBatches]
		now := time.Now()
		for i, e := range events {
			e.SourceIp, e.TimeNs = []byte{10, 9, 0, byte(1 + i%liveReaders)}, now.UnixNano()
		}
		b := &ngfwv1.FlowBatch{Epoch: liveEpoch, Number: uint64(n + 1), Events: events}
		if err := link.Send(&ngfwv1.AgentMessage{Id: "b", Payload: &ngfwv1.AgentMessage_FlowBatch{FlowBatch: b}}); err != nil {
			return nil, fmt.Errorf("%w: %w", err, <-link.failed)
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var took []float64
	lost := 0
	for _, r := range readers {
		took = append(took, r.took...)
		lost += r.dropped
	}
	note := fmt.Sprintf("%d rows/s from a router's sending, one reader of all and %d of %d rows/s each; median %.0f ms", liveRate, liveReaders, liveRate/liveReaders, quantile(took, .5))
	return []bench.Result{
		bench.Figure("row → WebSocket frame, p99", quantile(took, .99), "ms", bench.Lower).AtLeast(500).Noting(note),
		bench.Figure("rows dropped for slow readers", float64(lost), "rows", bench.Lower).AtLeast(0),
	}, nil
}

// reader is one live stream.
type reader struct {
	filter        string
	want, dropped int // rows
	took          []float64
	conn          *websocket.Conn
}

func (r *reader) open(ctx context.Context, c *cloud) (err error) {
	r.conn, _, err = websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.url, "http")+"/api/traffic/logs/stream?"+strings.TrimPrefix(r.filter, "&"),
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + c.token}}})
	if err == nil {
		r.conn.SetReadLimit(1 << 20)
	}
	return err
}

// read takes frames until every row has come or was told to be dropped.
func (r *reader) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, liveTime+2*time.Minute)
	defer cancel()
	for len(r.took)+r.dropped < r.want {
		_, text, err := r.conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("after %d of %d rows: %w", len(r.took), r.want, err)
		}
		now := time.Now()
		var frame struct {
			Type  string
			Count int
			Data  struct{ Timestamp float64 }
		}
		if err := json.Unmarshal(text, &frame); err != nil {
			return err
		}
		switch frame.Type {
		case "log":
			r.took = append(r.took, float64(now.UnixMicro())/1000-frame.Data.Timestamp*1000)
		case "dropped":
			r.dropped += frame.Count
		}
	}
	return nil
}
