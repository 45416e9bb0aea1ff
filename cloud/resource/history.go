package resource

import (
	"context"
	"errors"

	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
)

// Stored says who made a version, and when.
type Stored struct {
	Version int64
	Author  string
	At      int64 // Unix seconds
}

// ReadAt returns the document that was stored as this version. NOT_FOUND: none
// of the section was.
func (s *Section[D]) ReadAt(ctx context.Context, deviceID string, version int64) (D, Stored, error) {
	v, err := s.svc.deps.Store.SectionAt(ctx, deviceID, s.desc.Name, version)
	return s.stored(deviceID, v, err, "this version of the configuration is not kept")
}

// ReadAsOf returns the document that was the newest at a moment, in Unix
// seconds.
func (s *Section[D]) ReadAsOf(ctx context.Context, deviceID string, at int64) (D, Stored, error) {
	v, err := s.svc.deps.Store.SectionAsOf(ctx, deviceID, s.desc.Name, at)
	return s.stored(deviceID, v, err, "the router had no configuration at that time")
}

func (s *Section[D]) stored(deviceID string, v store.StoredVersion, err error, missing string) (doc D, _ Stored, _ error) {
	if errors.Is(err, store.ErrNotFound) {
		return doc, Stored{}, fault.New(fault.NotFound, "%s", missing).Because(err)
	}
	if err != nil {
		return doc, Stored{}, err
	}
	doc, err = s.decode(deviceID, v.Section)
	return doc, Stored{Version: v.Version, Author: v.Author, At: v.CreatedAt}, err
}
