package analytics

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ngfw.sh/internal/fault"
)

// Codes of ClickHouse that mean something to a caller.
const (
	codeTimeout   = 159 // TIMEOUT_EXCEEDED
	codeTooSlow   = 160 // TOO_SLOW
	codeMemory    = 241 // MEMORY_LIMIT_EXCEEDED
	codeNoSpace   = 243 // NOT_ENOUGH_SPACE
	codeCancelled = 394 // QUERY_WAS_CANCELLED
)

// explain makes a fault of what the caller can do something about, and of the
// engine being away. The cause stays for the log.
func (db *DB) explain(err error) error {
	var ex *clickhouse.Exception
	if _, told := fault.As(err); told {
		return err // it says what it is
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Unavailable, "the question takes longer than %v: narrow it by time or by filters", db.cfg.QueryTimeout).Because(err)
	case errors.As(err, &ex):
		switch ex.Code {
		case codeTimeout, codeTooSlow, codeCancelled:
			return fault.New(fault.Unavailable, "the question takes too long: narrow it by time or by filters").Because(err)
		case codeMemory:
			return fault.New(fault.Unavailable, "the question needs more memory than the database may use: narrow it by time or by filters").Because(err)
		case codeNoSpace:
			return fault.New(fault.Unavailable, "the disk of the flow database is full").Because(err)
		}
		return fmt.Errorf("clickhouse: %w", err)
	}
	if down := db.down(); down != nil {
		return down
	}
	return fault.New(fault.Unavailable, "flow analytics are unavailable: the database does not answer").Because(brief(err))
}

// unstored is what Store says: a batch that is not acknowledged comes again, so
// every failure is one that may pass.
func (db *DB) unstored(err error) error {
	var ex *clickhouse.Exception
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errStopping):
		return err
	case errors.As(err, &ex) && ex.Code == codeNoSpace:
		return fault.New(fault.Unavailable, "the disk of the flow database is full").Because(err)
	}
	return fault.New(fault.Unavailable, "the flow database did not take the rows").Because(brief(err))
}

// brief leaves out the address of a request, which holds the whole statement.
func brief(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
