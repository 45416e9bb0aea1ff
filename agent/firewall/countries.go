package firewall

import (
	"context"
	"fmt"
	"os"
	"time"

	"ngfw.sh/internal/fault"
	"ngfw.sh/internal/geoip"
	"ngfw.sh/policy"
)

// countriesCheck is how often a changed database is looked for.
const countriesCheck = 30 * time.Second

// Countries is where a section gets a database of countries from. It is read for
// each policy that names one, and not kept.
type Countries struct {
	file string // as status names it
	// state tells one state of the database from another.
	state func() (string, error)
	open  func() (policy.Countries, error)
}

// CountriesOf reads them from a file; "" is none.
func CountriesOf(file string) Countries {
	if file == "" {
		return Countries{}
	}
	return Countries{
		file: file,
		state: func() (string, error) {
			info, err := os.Stat(file)
			if err != nil {
				return "", err
			}
			return fmt.Sprint(info.ModTime().UnixNano(), info.Size()), nil
		},
		open: func() (policy.Countries, error) { return geoip.Open(file) },
	}
}

// there says whether there is a database to look countries up in.
func (c Countries) there() bool {
	if c.open == nil {
		return false
	}
	_, err := c.state()
	return err == nil
}

// HasCountries says whether rules that name countries can be enforced.
func (s *Section) HasCountries() bool { return s.deps.Countries.there() }

// forPolicy gives env what p names of countries. Without a database such a policy
// is refused: taking every address for unknown would open what it closes.
func (c Countries) forPolicy(p policy.Policy, env *policy.Env) (state string, err error) {
	needs := policy.NeedCountries(p)
	if needs == nil {
		return "", nil
	}
	if c.open == nil {
		return "", needs
	}
	if state, err = c.state(); err == nil {
		env.Countries, err = c.open()
	}
	if err != nil {
		f, _ := fault.As(needs)
		return "", fault.Invalid(f.Field(), "it names a country, and the database cannot be read: %v", err)
	}
	return state, nil
}

// FollowCountries compiles again when the database has changed, until ctx ends. A
// broken or missing one leaves the countries of before, and status says so.
func (s *Section) FollowCountries(ctx context.Context) error {
	if s.deps.Countries.open == nil {
		return nil
	}
	tick := time.NewTicker(countriesCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.refreshCountries()
		}
	}
}

func (s *Section) refreshCountries() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.enforced || s.atlas == "" {
		return
	}
	state, err := s.deps.Countries.state()
	if err == nil && state == s.atlas {
		s.stale = ""
		return
	}
	if err == nil {
		err = s.enforce(s.policy)
	}
	if err == nil {
		s.deps.Log.Info("compiled with a new database of countries", "file", s.deps.Countries.file)
		return
	}
	if s.stale != err.Error() {
		s.deps.Log.Error("countries stay as they were", "file", s.deps.Countries.file, "err", err)
	}
	s.stale = err.Error()
}
