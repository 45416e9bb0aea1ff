package replay_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ngfw.sh/cloud/api/replay"
)

var (
	start = time.Unix(1_700_000_000, 0)
	hash  = [32]byte{1}
)

func TestOnce(t *testing.T) {
	s := replay.New[int](time.Hour, 10)
	calls := 0
	do := func() (int, error) { calls++; return calls, nil }
	for i, c := range []struct {
		key   string
		hash  [32]byte
		at    time.Time
		want  int
		again bool
		err   error
	}{
		{"k", hash, start, 1, false, nil},
		{"k", hash, start.Add(time.Minute), 1, true, nil},
		{"k", [32]byte{2}, start, 0, false, replay.ErrOther},
		{"l", hash, start, 2, false, nil},
		{"k", hash, start.Add(time.Hour), 3, false, nil},
	} {
		got, again, err := s.Do(t.Context(), c.key, c.hash, c.at, do)
		if got != c.want || again != c.again || !errors.Is(err, c.err) {
			t.Errorf("%d: %d %v %v", i, got, again, err)
		}
	}
}

// Of many at once one is done and the others get its answer; when it fails, the
// next takes its place.
func TestOneAtATime(t *testing.T) {
	s := replay.New[int](time.Hour, 10)
	var calls, running atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			got, _, err := s.Do(t.Context(), "k", hash, start, func() (int, error) {
				if running.Add(1) > 1 {
					t.Error("two at once")
				}
				defer running.Add(-1)
				if calls.Add(1) < 3 {
					return 0, errors.New("not yet")
				}
				return 7, nil
			})
			if err == nil && got != 7 {
				t.Errorf("got %d", got)
			}
		})
	}
	all.Wait()
	if calls.Load() != 3 {
		t.Errorf("%d calls", calls.Load())
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	s := replay.New[int](time.Hour, 10)
	hold, held := make(chan struct{}), make(chan struct{})
	go s.Do(context.Background(), "k", hash, start, func() (int, error) { close(held); <-hold; return 0, nil })
	<-held
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := s.Do(ctx, "k", hash, start, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(hold)
}

func TestPanicFrees(t *testing.T) {
	s := replay.New[int](time.Hour, 10)
	func() {
		defer func() { _ = recover() }()
		s.Do(t.Context(), "k", hash, start, func() (int, error) { panic("x") })
	}()
	if got, again, err := s.Do(t.Context(), "k", hash, start, func() (int, error) { return 1, nil }); got != 1 || again || err != nil {
		t.Error(got, again, err)
	}
}

func TestBounded(t *testing.T) {
	s := replay.New[int](time.Hour, 2)
	n := 0
	for i := range 5 {
		s.Do(t.Context(), fmt.Sprint(i), hash, start, func() (int, error) { n++; return n, nil })
	}
	if _, again, _ := s.Do(t.Context(), "0", hash, start, func() (int, error) { return 0, nil }); again {
		t.Error("the oldest answer is still there")
	}
}
