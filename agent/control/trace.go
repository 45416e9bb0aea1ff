package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"ngfw.sh/dataplane"
	"ngfw.sh/internal/fault"
)

// TraceRequest asks for packets; what is left out asks for any.
type TraceRequest struct {
	Host      netip.Prefix `json:"host,omitzero"` // either end
	Src       netip.Prefix `json:"src,omitzero"`
	Dst       netip.Prefix `json:"dst,omitzero"`
	Protocol  uint8        `json:"protocol,omitempty"`
	Port      uint16       `json:"port,omitempty"` // of either end
	SrcPort   uint16       `json:"sport,omitempty"`
	DstPort   uint16       `json:"dport,omitempty"`
	Interface string       `json:"interface,omitempty"`
	OneWay    bool         `json:"one_way,omitempty"`
	Seconds   float64      `json:"seconds,omitempty"` // 0: the default
	Count     int          `json:"count,omitempty"`   // packets, 0: as many as come
	Rate      int          `json:"rate,omitempty"`    // packets a second, 0: the default
}

// TraceLine is a line of the answer: that the trace runs, a packet, its end, or
// why it failed.
type TraceLine struct {
	Running bool                    `json:"running,omitempty"`
	Packet  *dataplane.TracePacket  `json:"packet,omitempty"`
	End     *dataplane.TraceSummary `json:"end,omitempty"`
	Error   string                  `json:"error,omitempty"`
}

// Tracer runs a trace until its end; started is called when packets are seen.
type Tracer func(ctx context.Context, f dataplane.TraceFilter, started func(), tell func(dataplane.TracePacket) error) (dataplane.TraceSummary, error)

// errCounted ends a trace that has told of enough.
var errCounted = errors.New("as many packets as were asked for")

// filter checks what only a command line of another build could get wrong.
func (r TraceRequest) filter() (dataplane.TraceFilter, error) {
	f := dataplane.TraceFilter{
		Host: r.Host, Source: r.Src, Destination: r.Dst, Protocol: r.Protocol, Port: r.Port, SourcePort: r.SrcPort, DestinationPort: r.DstPort,
		Interface: r.Interface, OneWay: r.OneWay, Duration: time.Duration(r.Seconds * float64(time.Second)), Rate: r.Rate,
	}
	if r.Seconds < 0 || f.Duration > dataplane.MaxTrace || r.Count < 0 || r.Rate < 0 || r.Rate > 100_000 {
		return f, fault.New(fault.BadRequest, "a trace takes at most %s, and tells of at most 100000 packets a second", dataplane.MaxTrace)
	}
	return f, nil
}

// trace answers with a line a packet, as they come, until the trace ends or
// whoever asked goes away.
func (s *Server) trace(w http.ResponseWriter, r *http.Request) {
	refuse := func(err error) {
		f, ok := fault.As(err)
		if !ok {
			f = &fault.Error{Code: fault.Internal, Message: err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		if err := json.NewEncoder(w).Encode(refusal{f.Code, f.Message, f.Fields}); err != nil {
			s.deps.Logger.Debug("answer was not taken", "err", err)
		}
	}
	if s.deps.Trace == nil {
		refuse(fault.New(fault.Unavailable, "this agent does not trace"))
		return
	}
	var asked TraceRequest
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPacket))
	body.DisallowUnknownFields()
	if err := body.Decode(&asked); err != nil {
		refuse(fault.New(fault.BadRequest, "the request cannot be read: %v", err))
		return
	}
	f, err := asked.filter()
	if err != nil {
		refuse(err)
		return
	}
	out := http.NewResponseController(w)
	lines, begun := json.NewEncoder(w), false
	line := func(l TraceLine) error {
		if err := out.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		if err := lines.Encode(l); err != nil {
			return err
		}
		return out.Flush()
	}
	told := 0
	sum, err := s.deps.Trace(r.Context(), f, func() {
		begun = true
		w.Header().Set("Content-Type", "application/x-ndjson")
		if err := line(TraceLine{Running: true}); err != nil {
			s.deps.Logger.Debug("answer was not taken", "err", err)
		}
	}, func(p dataplane.TracePacket) error {
		if err := line(TraceLine{Packet: &p}); err != nil {
			return err
		}
		if told++; told == asked.Count {
			return errCounted
		}
		return nil
	})
	if errors.Is(err, errCounted) {
		err = nil
	}
	if err != nil && !begun {
		refuse(err)
		return
	}
	last := TraceLine{End: &sum}
	if err != nil {
		last.Error = err.Error()
	}
	if err := line(last); err != nil {
		s.deps.Logger.Debug("the trace's end was not taken", "err", err)
	}
}

// Trace asks the agent that serves the socket to tell of packets, until the
// trace ends, ctx does or tell fails. started is called once packets are seen.
func Trace(ctx context.Context, socket string, asked TraceRequest, started func(), tell func(dataplane.TracePacket) error) (dataplane.TraceSummary, error) {
	var sum dataplane.TraceSummary
	body, err := json.Marshal(asked)
	if err != nil {
		return sum, err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent/trace", bytes.NewReader(body))
	if err != nil {
		return sum, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return sum, unanswered(socket, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return sum, refused(socket, resp)
	}
	for lines := json.NewDecoder(resp.Body); ; {
		var l TraceLine
		switch err := lines.Decode(&l); {
		case errors.Is(err, io.EOF):
			return sum, errors.New("the agent ended before the trace did")
		case ctx.Err() != nil:
			return sum, ctx.Err()
		case err != nil:
			return sum, fmt.Errorf("read the trace: %w", err)
		}
		switch {
		case l.Running:
			started()
		case l.Packet != nil:
			if err := tell(*l.Packet); err != nil {
				return sum, err
			}
		case l.End != nil:
			sum = *l.End
			if l.Error != "" {
				return sum, errors.New(l.Error)
			}
			return sum, nil
		}
	}
}
