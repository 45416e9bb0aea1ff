package cloud

import (
	"fmt"
	"os"
	"sync"

	"ngfw.sh/internal/fault"
	"ngfw.sh/internal/geoip"
	"ngfw.sh/policy"
)

// countries are read from the configured file when a policy that names one is first
// analysed, and again when the file has changed.
type countries struct {
	file string

	mu    sync.Mutex // guards what follows, and is held while the file is read
	state string     // of the file that db is
	db    *geoip.Database
}

// newCountries of "" are none.
func newCountries(file string) func() (policy.Countries, error) {
	if file == "" {
		return nil
	}
	c := &countries{file: file}
	return c.read
}

func (c *countries) read() (policy.Countries, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.file)
	if err == nil {
		if state := fmt.Sprint(info.ModTime().UnixNano(), info.Size()); c.db == nil || state != c.state {
			if c.db, err = geoip.Open(c.file); err == nil {
				c.state = state
			}
		}
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the cloud's database of countries cannot be read").Because(err)
	}
	return c.db, nil
}
