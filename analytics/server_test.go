package analytics

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"ngfw.sh/lab/labtest"
)

// TestPositionsWaitForInserts: what a process that was killed had sent may still be on
// its way into the table.
func TestPositionsWaitForInserts(t *testing.T) {
	wire = true
	defer func() { wire = false }()
	db := openTest(t, nil)
	if err := db.conn.Exec(t.Context(), "CREATE TABLE slow (x UInt8) ENGINE = Null"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ended := make(chan time.Duration, 1)
	go func() {
		if err := db.conn.Exec(t.Context(), "INSERT INTO slow SELECT sleepEachRow(0.1) FROM numbers(20) SETTINGS max_block_size = 1"); err != nil {
			t.Error(err)
		}
		ended <- time.Since(began)
	}()
	labtest.Eventually(t, 20*time.Second, func() error {
		var n uint64
		err := db.conn.QueryRow(t.Context(), "SELECT count() FROM system.processes WHERE query_kind = 'Insert' AND query LIKE '%INSERT INTO slow%'").Scan(&n)
		if err == nil && n == 0 {
			err = errors.New("the insert has not begun")
		}
		return err
	})
	if _, err := db.Positions(t.Context(), "dev-1"); err != nil {
		t.Fatal(err)
	}
	told := time.Since(began)
	if n := <-ended; told+100*time.Millisecond < n { // the answer takes its way
		t.Errorf("told what is stored after %v, the insert ended after %v", told, n)
	}
}

// TestStillInsertingIsTold: who waits for a server reads why.
func TestStillInsertingIsTold(t *testing.T) {
	ready := make(chan struct{})
	close(ready)
	db := &DB{ready: ready}
	if got := db.explain(fmt.Errorf("load: %w", errStillInserting)); !errors.Is(got, errStillInserting) {
		t.Error(got)
	}
}
