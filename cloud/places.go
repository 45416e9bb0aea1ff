package cloud

import (
	"log/slog"
	"net"
	"net/netip"

	"ngfw.sh/analytics"
	"ngfw.sh/internal/geoip"
	"ngfw.sh/internal/macvendor"
)

// places tells of addresses what the configured files do. A file that is replaced is
// read again; of one that breaks, what was read before holds.
type places struct {
	countries *geoip.File[geoip.Database]
	networks  *geoip.File[geoip.Networks]
	vendors   *geoip.File[macvendor.Registry]
}

// newPlaces are nil where no file is configured.
func newPlaces(cfg Config, log *slog.Logger) analytics.Places {
	if cfg.GeoIP == "" && cfg.GeoIPASN == "" && cfg.MACVendors == "" {
		return nil
	}
	p := &places{
		geoip.NewFile(cfg.GeoIP, geoip.Open), geoip.NewFile(cfg.GeoIPASN, geoip.OpenNetworks), geoip.NewFile(cfg.MACVendors, macvendor.Open),
	}
	p.countries.Get()
	p.networks.Get()
	p.vendors.Get()
	for key, err := range map[string]error{"geoip": p.countries.Err(), "geoip_asn": p.networks.Err(), "mac_vendors": p.vendors.Err()} {
		if err != nil {
			log.Warn("rows of the traffic log lack what this file would tell", "setting", key, "error", err)
		}
	}
	return p
}

func (p *places) Country(a netip.Addr) string {
	if db := p.countries.Get(); db != nil {
		return db.Country(a)
	}
	return ""
}

func (p *places) AS(a netip.Addr) (uint32, string) {
	if db := p.networks.Get(); db != nil {
		as := db.AS(a)
		return as.Number, as.Name
	}
	return 0, ""
}

func (p *places) Vendor(mac string) string {
	db := p.vendors.Get()
	if db == nil {
		return ""
	}
	a, err := net.ParseMAC(mac)
	if err != nil {
		return ""
	}
	return db.Vendor(a)
}
