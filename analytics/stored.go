package analytics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stored tells, when it is scraped, what the database holds.
type stored struct {
	db                         *DB
	rows, bytes, parts, merges *prometheus.Desc
}

func newStored(db *DB) *stored {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("ngfw_analytics_stored_"+name, help, nil, nil)
	}
	return &stored{
		db:    db,
		rows:  desc("rows", "Rows in the table of flows."),
		bytes: desc("bytes", "Bytes of the table of flows on disk, roll-ups included."),
		parts: desc("parts", "Parts of the table of flows."),
		merges: prometheus.NewDesc("ngfw_analytics_merges",
			"Merges and rewrites of parts that the database is at.", nil, nil),
	}
}

func (s *stored) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.rows, s.bytes, s.parts, s.merges} {
		out <- d
	}
}

// Collect says nothing while the database cannot be asked.
func (s *stored) Collect(out chan<- prometheus.Metric) {
	if s.db.down() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var rows, bytes, parts, merges uint64
	err := s.db.conn.QueryRow(ctx, `SELECT sum(rows), sum(bytes_on_disk), count(),
	(SELECT count() FROM `+s.db.everyShard("merges")+` WHERE database = `+s.db.home()+` AND table = {table:String})
FROM `+s.db.everyShard("parts")+` WHERE active AND database = `+s.db.home()+` AND table = {table:String}`,
		named("table", s.db.local(&flows))).Scan(&rows, &bytes, &parts, &merges)
	if err != nil {
		return
	}
	for d, n := range map[*prometheus.Desc]uint64{s.rows: rows, s.bytes: bytes, s.parts: parts, s.merges: merges} {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
}
