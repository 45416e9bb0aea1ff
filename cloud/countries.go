package cloud

import (
	"ngfw.sh/internal/fault"
	"ngfw.sh/internal/geoip"
	"ngfw.sh/policy"
)

// analysedBy is the database of countries as analyses of policies ask for it; nil where
// none is configured. Rows of the log are told of by the same one.
func analysedBy(cfg Config, file *geoip.File[geoip.Database]) func() (policy.Countries, error) {
	if cfg.GeoIP == "" {
		return nil
	}
	return func() (policy.Countries, error) {
		if db := file.Get(); db != nil {
			return db, nil
		}
		return nil, fault.New(fault.Unavailable, "the cloud's database of countries cannot be read").Because(file.Err())
	}
}
