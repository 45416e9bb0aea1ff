package firewall

import (
	"context"
	"errors"
	"testing"
	"time"

	"ngfw.sh/internal/fault"
)

// One organisation with much to analyse leaves the other its turn, and no more than
// so many wait.
func TestAnalysesOfOneOrganisationLeaveRoom(t *testing.T) {
	turns := newTurns()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done, err := turns.take(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	waiting, leave := context.WithCancel(ctx)
	ended := make(chan error)
	for range maxWaiting {
		go func() {
			_, err := turns.take(waiting, "a")
			ended <- err
		}()
	}
	if err := <-ended; !fault.Is(err, fault.Unavailable) { // the one that is too many
		t.Fatalf("%v", err)
	}
	other, err := turns.take(ctx, "b")
	if err != nil {
		t.Fatalf("another organisation's: %v", err)
	}
	leave()
	for range maxWaiting - 1 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("one that has left: %v", err)
		}
	}
	done()
	other()
	if done, err = turns.take(ctx, "a"); err != nil {
		t.Fatalf("afterwards: %v", err)
	}
	done()
	if len(turns.orgs)+len(turns.running) > 0 {
		t.Errorf("%d organisations and %d turns are left", len(turns.orgs), len(turns.running))
	}
}
