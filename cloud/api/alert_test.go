package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"google.golang.org/grpc"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// fakeAlerts has one alert, which its stream repeats once.
type fakeAlerts struct {
	ngfwv1.UnimplementedAlertServiceServer
}

var oneAlert = &ngfwv1.IdsAlert{Id: "a1", Severity: "high", SignatureId: 2100498, Metadata: map[string]string{"deployment": "Perimeter"}}

func (fakeAlerts) Alerts(_ context.Context, r *ngfwv1.AlertsRequest) (*ngfwv1.AlertsResponse, error) {
	if r.GetLimit() > 500 {
		return nil, fault.Invalid("limit", "at most 500")
	}
	return &ngfwv1.AlertsResponse{Total: 1, Alerts: []*ngfwv1.IdsAlert{oneAlert}}, nil
}

func (fakeAlerts) Stats(context.Context, *ngfwv1.AlertStatsRequest) (*ngfwv1.AlertStats, error) {
	return &ngfwv1.AlertStats{Total: 1}, nil
}

func (fakeAlerts) StreamAlerts(_ *ngfwv1.StreamAlertsRequest, out grpc.ServerStreamingServer[ngfwv1.StreamFrame]) error {
	if err := out.Send(&ngfwv1.StreamFrame{Type: "alert", Cursor: "c1", Alert: oneAlert}); err != nil {
		return err
	}
	<-out.Context().Done()
	return nil
}

func TestAlertFrame(t *testing.T) {
	r := start(t, nil)
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(r.url, "http", "ws", 1)+"/api/ids/alerts/stream?severity=high,critical", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer owner"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	_, text, err := conn.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var frame struct {
		Type, Cursor string
		Data         struct {
			ID          string
			SignatureID int64 `json:"signature_id"`
			Metadata    map[string]string
		}
	}
	if err := json.Unmarshal(text, &frame); err != nil || frame.Type != "alert" || frame.Cursor != "c1" || frame.Data.ID != "a1" ||
		frame.Data.SignatureID != 2100498 || frame.Data.Metadata["deployment"] != "Perimeter" {
		t.Errorf("%s, %v", text, err)
	}
}
