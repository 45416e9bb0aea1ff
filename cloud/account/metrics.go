package account

import (
	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/internal/fault"
)

type metrics struct {
	logins          *prometheus.CounterVec
	authentications *prometheus.CounterVec
	reused          prometheus.Counter
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ngfw_account_logins_total",
			Help: "Log-ins by result: ok, refused (wrong credentials or input), failed (too many at once, store).",
		}, []string{"result"}),
		authentications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ngfw_account_authentications_total",
			Help: "Bearer credentials checked, by kind (session, api_token) and result (ok, refused, failed).",
		}, []string{"kind", "result"}),
		reused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ngfw_account_refresh_reused_total",
			Help: "Refresh tokens that came a second time; each ended its session.",
		}),
	}
	if r != nil {
		r.MustRegister(m.logins, m.authentications, m.reused)
	}
	return m
}

func (m metrics) login(err error) { m.logins.WithLabelValues(result(err)).Inc() }

func (m metrics) authentication(kind string, err error) {
	m.authentications.WithLabelValues(kind, result(err)).Inc()
}

func result(err error) string {
	f, ok := fault.As(err)
	switch {
	case err == nil:
		return "ok"
	case ok && f.Code != fault.Unavailable:
		return "refused"
	}
	return "failed"
}
