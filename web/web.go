// Package web owns the dashboard: the pages that package api serves to browsers.
// src holds their sources, dist what the bundler makes of them; dist is committed,
// so that building the cloud needs no Node.js.
//
// What Handler serves never changes while the process lives: every file is read,
// compressed and given its header once. Paths without a file that a browser asks
// a page for get the one page there is, which reads the rest of the path itself.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:generate go run ./internal/apitypes src/api/schema.ts

//go:embed all:dist
var dist embed.FS

const index = "index.html"

// policy lets pages run and load our own files alone. Streams are the same
// host's. There is no inline script or style, in no form.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// asset is one file as it goes out.
type asset struct {
	media, cache, tag string
	plain, packed     []byte // packed is nil where it would not be smaller
}

// Handler serves the dashboard.
type Handler struct{ assets map[string]*asset }

// New reads the embedded files.
func New() (*Handler, error) { return newHandler(dist) }

func newHandler(files fs.FS) (*Handler, error) {
	h := &Handler{assets: map[string]*asset{}}
	err := fs.WalkDir(files, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		a, err := newAsset(name, data)
		if err != nil {
			return err
		}
		h.assets[strings.TrimPrefix(name, "dist/")] = a
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	if h.assets[index] == nil {
		return nil, fmt.Errorf("dashboard: dist has no %s: run npm run build in web", index)
	}
	return h, nil
}

func newAsset(name string, data []byte) (*asset, error) {
	sum := sha256.Sum256(data)
	a := &asset{media: mime.TypeByExtension(path.Ext(name)), plain: data, tag: `"` + hex.EncodeToString(sum[:12]) + `"`, cache: "no-cache"}
	switch path.Ext(name) { // the machine's table may know them otherwise
	case ".js":
		a.media = "text/javascript; charset=utf-8"
	case ".svg":
		a.media = "image/svg+xml"
	case ".webmanifest":
		a.media = "application/manifest+json"
	}
	if strings.HasPrefix(name, "dist/assets/") { // its name holds a hash of its content
		a.cache = "public, max-age=31536000, immutable"
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if packed.Len() < len(data) {
		a.packed = packed.Bytes()
	}
	return a, nil
}

// Has says whether there is something to serve: a file, or for a browser that
// goes to an address the page that knows it.
func (h *Handler) Has(r *http.Request) bool { return h.find(r) != nil }

func (h *Handler) find(r *http.Request) *asset {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		return h.assets[index]
	}
	if a := h.assets[name]; a != nil {
		return a
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") && path.Ext(name) == "" {
		return h.assets[index]
	}
	return nil
}

// ServeHTTP implements http.Handler for GET and HEAD.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := h.find(r)
	if a == nil {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", a.media)
	header.Set("Content-Security-Policy", policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	header.Set("Cache-Control", a.cache)
	header.Set("ETag", a.tag)
	header.Add("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("If-None-Match"), a.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.plain
	if a.packed != nil && takesGzip(r.Header.Get("Accept-Encoding")) {
		header.Set("Content-Encoding", "gzip")
		body = a.packed
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a browser that is gone
	}
}

func takesGzip(accepted string) bool {
	for part := range strings.SplitSeq(accepted, ",") {
		name, quality, _ := strings.Cut(part, ";")
		if n := strings.TrimSpace(name); n != "gzip" && n != "*" {
			continue
		}
		q := strings.TrimPrefix(strings.ReplaceAll(quality, " ", ""), "q=")
		return strings.Trim(q, "0.") != "" || quality == ""
	}
	return false
}
