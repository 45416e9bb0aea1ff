package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"ngfw.sh/lab/labtest"
)

// backtested is the result of a back-test.
type backtested struct {
	Blocked, Allowed, Uncertain []struct {
		Client, Destination, Protocol, Action, Reason string
		Port                                          int
		Bytes, Connections                            int64
		Examples                                      []string
	}
	Totals struct {
		Blocked struct{ Bytes, Connections int64 }
	}
	Rows int64
}

// backtest tries a new rule on what was recorded since.
func (c *client) backtest(t testing.TB, r rule, since time.Time) (out backtested) {
	t.Helper()
	var begun struct {
		OperationID string `json:"operation_id"`
	}
	c.call(t, http.StatusAccepted, "POST", "/api/firewall/backtest", map[string]any{
		"change": map[string]any{"op": "create", "resource": "rule", "body": r}, "from": since.Unix(),
	}, &begun)
	labtest.Eventually(t, patience, func() error {
		var o struct {
			Status string
			Error  struct{ Message string }
			Result backtested
		}
		c.get(t, "/api/operations/"+begun.OperationID, &o)
		switch o.Status {
		case "done":
			out = o.Result
			return nil
		case "failed":
			t.Fatal(o.Error.Message)
		case "pending", "running":
			return errors.New("it goes on")
		}
		return fmt.Errorf("status %q", o.Status)
	})
	return out
}
