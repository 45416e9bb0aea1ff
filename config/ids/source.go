package ids

import (
	"encoding/hex"
	"net/url"
	"path"
)

// Source is a set of rules: of a URL that the router fetches, or of a file on it.
type Source struct {
	Name    string `json:"name"`
	URL     string `json:"url,omitempty"`    // http or https
	File    string `json:"file,omitempty"`   // absolute
	SHA256  string `json:"sha256,omitempty"` // 64 hex digits; another content is not loaded
	Enabled bool   `json:"enabled"`
}

func (s Source) check(found *findings, at string) {
	if s.Name == "" || len(s.Name) > 255 {
		found.add(at+".name", "must have 1 to 255 bytes")
	}
	switch {
	case (s.URL == "") == (s.File == ""):
		found.add(at+".url", "say either url or file")
	case s.URL != "":
		u, err := url.Parse(s.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			found.add(at+".url", "must be an address of http or https, without a password")
		} else if u.Scheme == "http" && s.SHA256 == "" {
			found.add(at+".sha256", "is required where http is not protected: anybody on the way could change the rules")
		}
	case !path.IsAbs(s.File) || path.Clean(s.File) != s.File:
		found.add(at+".file", "must be an absolute path")
	}
	if b, err := hex.DecodeString(s.SHA256); err != nil || len(b) != 0 && len(b) != 32 {
		found.add(at+".sha256", "must be 64 hexadecimal digits")
	}
}
