package api

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"google.golang.org/grpc/status"
)

// metrics have no organisation, device or address in their labels: patterns and
// codes are as many as the API has.
type metrics struct {
	requests    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	inFlight    prometheus.Gauge
	rateLimited *prometheus.CounterVec
	streams     *prometheus.GaugeVec
	frames      *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ngfw_api_requests_total", Help: "Requests answered, by method, endpoint pattern and status.",
		}, []string{"method", "pattern", "status"}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ngfw_api_request_seconds", Help: "Time to answer a request.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method", "pattern"}),
		inFlight: f.NewGauge(prometheus.GaugeOpts{
			Name: "ngfw_api_requests_in_flight", Help: "HTTP requests being answered now, streams included.",
		}),
		rateLimited: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ngfw_api_rate_limited_total", Help: "Requests refused by a rate limit.",
		}, []string{"pattern"}),
		streams: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ngfw_api_streams", Help: "Live streams open now, by transport.",
		}, []string{"transport"}),
		frames: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ngfw_api_stream_frames_total", Help: "Frames written to live streams, by type.",
		}, []string{"type"}),
	}
}

// answered counts a request; how long a stream was open is no time to answer.
func (m *metrics) answered(method, pattern, status string, took time.Duration, stream bool) {
	m.requests.WithLabelValues(method, pattern, status).Inc()
	if !stream {
		m.seconds.WithLabelValues(method, pattern).Observe(took.Seconds())
	}
}

func (m *metrics) limited(pattern string) { m.rateLimited.WithLabelValues(pattern).Inc() }

func grpcCodeName(err error) string { return status.Code(err).String() }

// metadataText makes any text a valid metadata value.
func metadataText(s string) string {
	for _, r := range s {
		if r < 0x20 || r > 0x7e {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}
