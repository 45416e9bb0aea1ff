package analytics

import (
	"context"
	"fmt"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"
)

// counting asks several statements about the same rows, one beside the other.
type counting struct {
	db         *DB
	scope      scope
	conditions func(*where)

	group *errgroup.Group
	ctx   context.Context
	mu    sync.Mutex // held while a row is taken
}

func (db *DB) counting(ctx context.Context, s scope, conditions func(*where)) *counting {
	c := &counting{db: db, scope: s, conditions: conditions}
	c.group, c.ctx = errgroup.WithContext(ctx)
	return c
}

// ask begins a statement, in which %s stands for the conditions. take is called
// for each row and never twice at a time.
func (c *counting) ask(sql string, take func(driver.Rows) error) {
	c.group.Go(func() error {
		w := rowsOf(c.scope)
		c.conditions(w)
		rows, err := c.db.conn.Query(c.ctx, fmt.Sprintf(sql, w), w.args()...)
		if err != nil {
			return err
		}
		defer rows.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		for rows.Next() {
			if err := take(rows); err != nil {
				return fmt.Errorf("read counts: %w", err)
			}
		}
		return rows.Err()
	})
}

// wait waits until all are answered.
func (c *counting) wait() error { return c.db.explain(c.group.Wait()) }
