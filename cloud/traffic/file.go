package traffic

import (
	"context"
	"io"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// ExportLogs sends the rows of the log as a file, in chunks as they are made.
func (s *Service) ExportLogs(req *ngfwv1.ExportLogsRequest, stream ngfwv1.TrafficService_ExportLogsServer) error {
	scope, err := s.scope(stream.Context(), req.GetDeviceId())
	if err != nil {
		return err
	}
	var failed error
	err = s.deps.Log.Export(stream.Context(), scope, req, func(name, contentType string) io.Writer {
		failed = stream.Send(&ngfwv1.FileChunk{Name: name, ContentType: contentType})
		return &chunks{stream: stream, failed: failed}
	})
	if failed != nil {
		return failed
	}
	return err
}

// chunks sends what is written.
type chunks struct {
	stream ngfwv1.TrafficService_ExportLogsServer
	failed error
}

// maxChunk keeps a message well below what one may be.
const maxChunk = 256 << 10

func (c *chunks) Write(b []byte) (n int, err error) {
	for c.failed == nil && n < len(b) {
		part := b[n:min(len(b), n+maxChunk)]
		if c.failed = c.stream.Send(&ngfwv1.FileChunk{Data: part}); c.failed == nil {
			n += len(part)
		}
	}
	return n, c.failed
}

// ExplainLog says what decided a flow of the log.
func (s *Service) ExplainLog(ctx context.Context, req *ngfwv1.ExplainLogRequest) (*ngfwv1.LogExplanation, error) {
	scope, err := s.scope(ctx, "")
	if err != nil {
		return nil, err
	}
	entry, err := s.deps.Log.Find(ctx, scope, req.GetId())
	if err != nil {
		return nil, err
	}
	return s.deps.Policies.Explain(ctx, entry)
}
