package quota_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ngfw.sh/cloud/api/quota"
)

// Windows agree with a model that remembers everything.
func TestWindowsAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const length = 60 * time.Second
		w := quota.NewWindows(length, 1000)
		type window struct {
			ends time.Time
			used int
		}
		model := map[string]*window{}
		now := time.Unix(1_700_000_000, 0)
		for range rapid.IntRange(1, 100).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "seconds")) * time.Second)
			key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
			limit := 3
			m := model[key]
			if m == nil || !m.ends.After(now) {
				m = &window{ends: now.Add(length)}
				model[key] = m
			}
			ok := m.used < limit
			if ok {
				m.used++
			}
			want := quota.Grant{OK: ok, Limit: limit, Remaining: limit - m.used, Reset: m.ends}
			if got := w.Take(key, limit, now); got != want {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		}
	})
}

func TestWindowsAreBounded(t *testing.T) {
	w := quota.NewWindows(time.Minute, 10)
	now := time.Unix(0, 0)
	for i := range 1000 {
		w.Take(fmt.Sprint(i), 1, now)
	}
	if w.Len() != 10 {
		t.Errorf("%d keys", w.Len())
	}
	w.Take("x", 1, now.Add(time.Minute))
	if w.Len() != 1 {
		t.Errorf("%d keys after all windows have ended", w.Len())
	}
}

func TestSlots(t *testing.T) {
	s := quota.NewSlots()
	a, used, ok := s.Hold("u", "a", 2)
	if !ok || used != 1 {
		t.Fatal(used, ok)
	}
	b, _, _ := s.Hold("u", "b", 2)
	if _, used, ok := s.Hold("u", "c", 2); ok || used != 2 {
		t.Error("a third in two slots")
	}
	again, used, ok := s.Hold("u", "a", 2)
	if !ok || used != 2 {
		t.Error("a second hold of the same thing takes a slot")
	}
	if _, _, ok := s.Hold("v", "c", 2); !ok {
		t.Error("owners share slots")
	}
	a()
	a() // once
	if _, _, ok := s.Hold("u", "c", 2); ok {
		t.Error("a thing still held has lost its slot")
	}
	again()
	b()
	for _, thing := range []string{"d", "e"} {
		if _, _, ok := s.Hold("u", thing, 2); !ok {
			t.Error("slots do not come back")
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	w, s := quota.NewWindows(time.Minute, 100), quota.NewSlots()
	granted := make(chan bool, 1000)
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			for range 100 {
				granted <- w.Take("k", 50, time.Unix(0, 0)).OK
				if release, used, ok := s.Hold("u", fmt.Sprint(i), 5); ok {
					if used > 5 {
						t.Error("too many slots")
					}
					release()
				}
			}
		})
	}
	all.Wait()
	close(granted)
	n := 0
	for ok := range granted {
		if ok {
			n++
		}
	}
	if n != 50 {
		t.Errorf("%d granted of 50", n)
	}
}
