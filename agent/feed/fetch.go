package feed

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"ngfw.sh/internal/backoff"
)

// follow fetches a list when it is due, until ctx ends. Due is a while after the
// server last confirmed it, a tenth of chance in it: all routers of an
// organisation have the same setting.
func (f *Feed) follow(ctx context.Context, i int) {
	s := f.cfg.Sources[i]
	retry := backoff.Backoff{Min: f.cfg.Retry, Max: s.Every}
	_, had, _ := f.readCopy(s)
	wait := time.Duration(0)
	if at := had.confirmed(); !at.IsZero() {
		wait = max(0, spread(s.Every)-max(0, time.Since(at)))
	}
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		err := f.fetch(ctx, s)
		if ctx.Err() != nil {
			return
		}
		wait = spread(s.Every)
		if err == nil {
			retry.Reset()
		} else {
			err = fmt.Errorf("cannot be fetched: %w", err)
			wait = retry.Next()
		}
		f.fetched(i, err)
		f.Look()
	}
}

func spread(every time.Duration) time.Duration { return every - rand.N(every/10+1) }

// fetch asks for the list and keeps what is a good one.
func (f *Feed) fetch(ctx context.Context, s Source) error {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "ngfw-agent")
	_, had, err := f.readCopy(s)
	have := err == nil
	if have && had.ETag != "" {
		req.Header.Set("If-None-Match", had.ETag)
	} else if have && had.LastModified != "" {
		req.Header.Set("If-Modified-Since", had.LastModified)
	}
	res, err := s.Client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	now := time.Now().Unix()
	if res.StatusCode == http.StatusNotModified && have {
		had.ConfirmedAt = now
		return f.describe(s, had)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answers %s", res.Status)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, f.cfg.Bytes+1))
	if err != nil {
		return err
	}
	if int64(len(data)) > f.cfg.Bytes {
		return fmt.Errorf("it is larger than %d bytes", f.cfg.Bytes)
	}
	list, err := f.check(s, data, had.Prefixes)
	if err != nil {
		return err
	}
	f.mu.Lock() // who looks meanwhile would find half of it
	err = f.keepCopy(s, data, origin{
		URL: s.URL, Prefixes: len(list), ETag: res.Header.Get("ETag"), LastModified: res.Header.Get("Last-Modified"), FetchedAt: now, ConfirmedAt: now,
	})
	f.mu.Unlock()
	if err != nil {
		return fmt.Errorf("keep a copy: %w", err)
	}
	return nil
}
