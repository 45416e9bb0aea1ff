package tlsca

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// Files shows the operator's certificate and takes up a changed one within a
// minute, so that an ACME client needs to do nothing but replace the files.
func Files(cert, key string, log *slog.Logger) (*Certificate, error) {
	var seen [2]time.Time
	return newCertificate(log, time.Now, time.Minute, func(_ time.Time, current *tls.Certificate) (*tls.Certificate, error) {
		var at [2]time.Time
		for i, name := range []string{cert, key} {
			info, err := os.Stat(name)
			if err != nil {
				return nil, fmt.Errorf("TLS certificate: %w", err)
			}
			at[i] = info.ModTime()
		}
		if current != nil && at == seen {
			return current, nil
		}
		// A pair half replaced does not load; the next try finds both.
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("TLS certificate %s with key %s: %w", cert, key, err)
		}
		seen = at
		return &pair, nil
	})
}
